// Whole trees that are copied, downloaded and removed: with links, and with files that stay behind.
import assert from 'node:assert/strict';
import { lstatSync, readdirSync, readlinkSync } from 'node:fs';
import { mkdir, readFile, rename, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { byteStringOfText, parentOf } from '../../src/base/byte-string.ts';
import type { Connection } from '../../src/client/connection.ts';
import { AlluxioFileSystem, type FileInfo } from '../../src/client/index.ts';
import type { Devcluster, FaultRule } from '../../src/devcluster/index.ts';
import type { NodeKind, PosixAttributes } from '../../src/store/index.ts';
import { commandEnvironment, faultsOf, startTestDevcluster } from '../support/devcluster.ts';
import { lastFirst } from '../support/last-first.ts';
import { run } from '../support/run.ts';
import { skipReason } from '../support/skip.ts';
import { makeTempDir } from '../support/temp-dir.ts';

const MAIN = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));
const SUITE_MS = 180_000;

describe('trees', { skip: skipReason('etcd'), timeout: SUITE_MS }, () => {
  const cleanup = lastFirst(after);
  let cluster: Devcluster;
  let fs: AlluxioFileSystem;
  let env: Readonly<Record<string, string>> = {};
  let local = '';

  before(async () => {
    cluster = await startTestDevcluster(cleanup);
    local = await makeTempDir(cleanup, 'local');
    await mkdir(join(cluster.dataDir, 'b'));
    env = commandEnvironment(cluster, await makeTempDir(cleanup, 'staging'));
    fs = await AlluxioFileSystem.open({ env });
    cleanup(() => fs.close());
  });
  afterEach(() => faults([]));

  const faults = (rules: readonly FaultRule[]): Promise<void> => faultsOf(cluster, rules);
  const cli = (...args: string[]) =>
    run(process.execPath, [MAIN, 'fs', ...args], { env, cwd: local });

  /** As a mount does, and in the cluster at once. */
  async function make(
    path: string,
    kind: Exclude<NodeKind, 'file' | 'directory'>,
    attributes: PosixAttributes = {},
  ): Promise<void> {
    const { connection } = fs as unknown as { readonly connection: Connection };
    const store = await connection.store();
    const [at, context] = [byteStringOfText(path), connection.scope().step()];
    await store.makeNode(at, kind, attributes, context);
    await store.sync(parentOf(at), context);
  }
  const link = (path: string, target: string): Promise<void> =>
    make(path, 'symlink', { target: byteStringOfText(target), mtimeMs: 1_600_000_000_000 });

  /** By a process that remembers nothing. */
  const seen = async (path: string): Promise<FileInfo> =>
    JSON.parse((await cli('stat', '--json', path)).out) as FileInfo;

  test('links are copied as links, what is there of their name goes', async () => {
    await fs.write('/b/links/a', 'a');
    await fs.write('/b/links/sub/z', 'z');
    await link('/b/links/link', 'sub/z');
    await link('/b/links/nowhere', '/no/such');
    await make('/b/links/pipe', 'fifo');
    await fs.write('/b/copied/link', 'a file');
    const copy = await cli('cp', '-r', '-T', '/b/links', '/b/copied');
    assert.deepEqual([copy.code, copy.err], [0, '']);
    assert.match(copy.out, /^5 files/);
    const found = await seen('/b/copied/link');
    assert.deepEqual(
      [found.type, found.target, found.mtimeMs],
      ['symlink', 'sub/z', 1_600_000_000_000],
    );
    assert.equal((await seen('/b/copied/nowhere')).target, '/no/such');
    assert.equal((await seen('/b/copied/pipe')).type, 'fifo');
    assert.equal(String(await fs.read('/b/copied/sub/z')), 'z');
    const again = await cli('cp', '-r', '-T', '--resume', '/b/links', '/b/copied');
    assert.match(again.out, /^0 files.* 5 there already/);
  });

  test('links are downloaded as links, and what cannot be is told and left out', async () => {
    const { code, out, err } = await cli('download', '-r', '/b/links', 'down');
    assert.equal(code, 1);
    assert.match(out, /^4 files, .* 1 left out/);
    assert.match(err, /download \/b\/links\/pipe: A fifo is not downloaded as a file/);
    assert.equal(readlinkSync(join(local, 'down/link')), 'sub/z');
    assert.equal(lstatSync(join(local, 'down/link')).mtimeMs, 1_600_000_000_000);
    assert.equal(readlinkSync(join(local, 'down/nowhere')), '/no/such');
    assert.equal(await readFile(join(local, 'down/link'), 'utf8'), 'z');
    const again = await cli('download', '-r', '-T', '--resume', '/b/links', 'down');
    assert.match(again.out, /^0 files, .* 4 there already, 1 left out/);
    // Without somebody who is told, it is the end, and names the file.
    await assert.rejects(fs.download('/b/links', join(local, 'more'), { recursive: true }), {
      code: 'unsupported',
      path: '/b/links/pipe',
    });
  });

  test('nothing is written through a link that lies in the tree', async () => {
    const outside = join(local, 'outside');
    await mkdir(outside);
    await writeFile(join(outside, 'f'), 'precious');
    // What an earlier version of the tree may have brought.
    await mkdir(join(local, 'trap'));
    await symlink(outside, join(local, 'trap/sub'));
    await symlink(join(outside, 'f'), join(local, 'trap/file'));
    await fs.write('/b/trap/file', 'new');
    await fs.write('/b/trap/sub/f', 'new');
    const told: unknown[] = [];
    await fs.download('/b/trap', join(local, 'trap'), {
      recursive: true,
      onError: ({ code, path }) => told.push([code, path]),
    });
    assert.deepEqual(told, [['not-a-directory', join(local, 'trap/sub')]]);
    assert.deepEqual(readdirSync(outside), ['f']);
    assert.equal(await readFile(join(outside, 'f'), 'utf8'), 'precious');
    assert.ok(lstatSync(join(local, 'trap/file')).isFile());
    assert.equal(await readFile(join(local, 'trap/file'), 'utf8'), 'new');
    // Its name itself is the user's, and may be a link.
    await rename(join(local, 'trap'), join(local, 'real'));
    await symlink('real', join(local, 'trap'));
    await fs.write('/b/trap2/file', 'newer');
    await fs.download('/b/trap2', join(local, 'trap'), { recursive: true });
    assert.equal(await readFile(join(local, 'real/file'), 'utf8'), 'newer');
  });

  test('a failure in a tree names the file', async () => {
    const own = await AlluxioFileSystem.open({
      env,
      targetProtocol: 'none',
      requestTimeoutMs: 5000,
    });
    cleanup(() => own.close());
    await own.write('/b/named/sub/f', 'f');
    await faults([{ port: 's3', method: 'GET', action: { kind: 'status', status: 500 } }]);
    const tree = {
      recursive: true,
      onError: () => assert.fail('It is no fault of this file alone'),
    };
    const path = '/b/named/sub/f';
    const download = own.download('/b/named', join(local, 'named'), tree);
    await assert.rejects(download, { operation: 'download', path });
    await own.mkdir('/b/named2/sub');
    await faults([{ port: 's3', method: 'PUT', action: { kind: 'status', status: 500 } }]);
    await assert.rejects(own.copy('/b/named', '/b/named2', tree), { operation: 'copy', path });
    await mkdir(join(local, 'named/sub'), { recursive: true });
    await writeFile(join(local, 'named/sub/f'), 'f');
    const upload = own.upload(join(local, 'named'), '/b/named', tree);
    await assert.rejects(upload, { operation: 'upload', path });
    await faults([{ port: 's3', method: 'DELETE', action: { kind: 'status', status: 500 } }]);
    await assert.rejects(own.rm('/b/named', tree), { operation: 'rm', path });
  });
});
