// Who may read a copy, and what its name is.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import { byteStringOfText } from '../../src/base/byte-string.ts';
import type { Connection } from '../../src/client/connection.ts';
import { AlluxioFileSystem } from '../../src/client/index.ts';
import type { Devcluster, FaultRule } from '../../src/devcluster/index.ts';
import type { AttributeChange } from '../../src/store/index.ts';
import { commandEnvironment, faultsOf, startTestDevcluster } from '../support/devcluster.ts';
import { lastFirst } from '../support/last-first.ts';
import { skipReason } from '../support/skip.ts';
import { makeTempDir } from '../support/temp-dir.ts';

const SUITE_MS = 180_000;

for (const targetProtocol of ['file', 'none'] as const) {
  const through = targetProtocol === 'none' ? 'the workers' : 'the under store';
  const suite = `copies through ${through}`;
  describe(suite, { skip: skipReason('etcd'), timeout: SUITE_MS }, () => {
    const cleanup = lastFirst(after);
    let cluster: Devcluster;
    let fs: AlluxioFileSystem;
    let local = '';

    before(async () => {
      cluster = await startTestDevcluster(cleanup);
      local = await makeTempDir(cleanup, 'local');
      const env = commandEnvironment(cluster, await makeTempDir(cleanup, 'staging'));
      fs = await AlluxioFileSystem.open({ env, targetProtocol });
      cleanup(() => fs.close());
    });
    afterEach(() => faults([]));

    const faults = (rules: readonly FaultRule[]): Promise<void> => faultsOf(cluster, rules);
    /** As a mount keeps them. */
    async function set(path: string, change: AttributeChange): Promise<void> {
      const { connection } = fs as unknown as { readonly connection: Connection };
      const store = await connection.store();
      await store.setAttributes(byteStringOfText(path), change, connection.scope().step());
    }
    const modeHere = (name: string): number => statSync(join(local, name)).mode & 0o777;

    test('what is private stays so, and what was there keeps its mode', async () => {
      await fs.write('/m/secret', 'secret');
      await fs.write('/m/plain', 'plain');
      await fs.write('/m/inner/tool', 'tool');
      await set('/m/secret', { mode: 0o600, uid: 1234 });
      await set('/m/inner', { mode: 0o700 });
      await set('/m/inner/tool', { mode: 0o4750, gid: 2345 });

      await fs.copy('/m/secret', '/c');
      const copied = await fs.info('/c');
      assert.deepEqual([copied.mode, copied.uid], [0o600, 1234]);
      await fs.write('/there', 'x');
      await set('/there', { mode: 0o640 });
      await fs.copy('/m/plain', '/there');
      assert.equal((await fs.info('/there')).mode, 0o640);
      await fs.copy('/m', '/m2', { recursive: true });
      const tool = await fs.info('/m2/inner/tool');
      // The right to run as its owner is not handed on, as by cp(1).
      assert.deepEqual([tool.mode, tool.gid], [0o750, 2345]);
      assert.equal((await fs.info('/m2/inner')).mode, 0o700);
      assert.equal((await fs.info('/m2/plain')).mode, undefined);

      await fs.download('/m', join(local, 'down'), { recursive: true });
      assert.equal(modeHere('down/secret'), 0o600);
      assert.equal(modeHere('down/inner'), 0o700);
      assert.equal(modeHere('down/inner/tool'), 0o750 & ~process.umask());
      assert.equal(modeHere('down/plain'), 0o644 & ~process.umask());
    });

    test('a private file is not there for everybody before it is private', async () => {
      await fs.write('/e/secret', 'secret');
      await set('/e/secret', { mode: 0o600 });
      const copy = { port: 's3', header: 'x-amz-copy-source' } as const;
      await faults([{ ...copy, action: { kind: 'delay', ms: 300 } }]);
      const seen = new Set<number | undefined>();
      const state = { isDone: false };
      const copying = fs.copy('/e/secret', '/e/copy').finally(() => (state.isDone = true));
      while (!state.isDone) {
        const found = await fs.info('/e/copy').catch(() => undefined);
        if (found !== undefined) seen.add(found.mode);
        await new Promise(setImmediate);
      }
      await copying;
      seen.add((await fs.info('/e/copy')).mode);
      assert.deepEqual([...seen], [0o600]);
    });

    test('no file gets a name that ends with a slash', async () => {
      await fs.write('/s/f', 'f');
      await mkdir(join(local, 's'));
      await writeFile(join(local, 's/f'), 'f');
      const from = join(local, 's/f');
      const no = { code: 'not-a-directory' };
      await assert.rejects(fs.upload(from, '/s/new/'), { ...no, path: '/s/new/' });
      await assert.rejects(fs.copy('/s/f', '/s/new/'), no);
      await assert.rejects(fs.mv('/s/f', '/s/new/'), no);
      await assert.rejects(fs.download('/s/f', join(local, 's/new/')), no);
      assert.deepEqual(await fs.ls('/s', { detail: false }), ['/s/f']);
      assert.deepEqual(readdirSync(join(local, 's')), ['f']);
      // Directories have such names.
      const tree = { recursive: true };
      await fs.upload(join(local, 's'), '/s/up/', tree);
      await fs.copy('/s/up', '/s/copied/', tree);
      await fs.mv('/s/copied', '/s/moved/');
      await fs.download('/s/moved/', join(local, 'moved/'), tree);
      assert.ok(existsSync(join(local, 'moved/f')));
    });
  });
}
