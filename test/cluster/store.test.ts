// The store over real etcd and dev workers, which are as bad as real ones: what the simulation shows on a
// cluster in memory, on the wire.
import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { byteStringOfText } from '../../src/base/byte-string.ts';
import type { ByteString } from '../../src/base/byte-string.ts';
import { systemClock } from '../../src/base/clock.ts';
import { silentLogger } from '../../src/base/logger.ts';
import type { CallContext } from '../../src/cluster/index.ts';
import { RoutedClient } from '../../src/cluster/index.ts';
import type { Devcluster } from '../../src/devcluster/index.ts';
import type { ClusterStore } from '../../src/store/index.ts';
import { openReadView, openStore } from '../../src/store/index.ts';
import { FileUnderStore } from '../../src/ufs/index.ts';
import { startTestDevcluster } from '../support/devcluster.ts';
import { lastFirst } from '../support/last-first.ts';
import { skipReason } from '../support/skip.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import { routedClientOf } from '../support/routed-client.ts';

const path = byteStringOfText;
const context = (): CallContext => ({
  signal: new AbortController().signal,
  deadlineMs: performance.now() + 30_000,
});

for (const isAtomic of [false, true]) {
  const how = isAtomic ? 'with the under store' : 'through workers alone';
  describe(`the store on a cluster, ${how}`, { skip: skipReason('etcd') }, () => {
    const cleanup = lastFirst(after);
    let cluster: Devcluster;
    let client: RoutedClient;
    let state = '';
    let store: ClusterStore;
    let uploads = 0;

    const begin = async (writeMode: 'through' | 'back'): Promise<void> => {
      store = await openStore({
        reader: client,
        writer: client.writer,
        stateDirectory: state,
        stagingDirectory: state,
        writeMode,
        attributesTtlMs: 1000,
        clock: systemClock,
        logger: silentLogger,
      });
    };

    const upload = async (at: ByteString, content: string, mode?: number) => {
      const stagingName = `staging-${++uploads}`;
      await writeFile(join(state, stagingName), content);
      return store.upload(
        {
          path: at,
          stagingName,
          segments: [{ from: 'staging', lengthBytes: Buffer.byteLength(content) }],
          base: undefined,
          attributes: mode === undefined ? {} : { mode },
          isHandedOver: true,
        },
        context(),
      );
    };

    const contentOf = async (at: ByteString): Promise<string> => {
      const version = await store.stat(at, context());
      const { lengthBytes } = version;
      const bytes = Buffer.alloc(lengthBytes);
      const range = { path: at, offset: 0, lengthBytes, version };
      await store.read(range, (chunk, offset) => bytes.set(chunk, offset), context());
      return bytes.toString();
    };

    const namesIn = async (at: ByteString): Promise<string[]> => {
      const names: string[] = [];
      for await (const batch of store.list(at, context())) {
        for (const { name, kind } of batch) names.push(`${name} ${kind}`);
      }
      return names.sort((a, b) => (a < b ? -1 : 1));
    };

    before(async () => {
      cluster = await startTestDevcluster(cleanup);
      state = await makeTempDir(cleanup, 'state');
      await mkdir(join(cluster.dataDir, 'b'));
      client = routedClientOf(cluster, {
        underStore: isAtomic ? new FileUnderStore({ root: path(cluster.dataDir) }) : undefined,
        uploadStrategy: undefined,
      });
      cleanup(() => client.close());
    });

    for (const writeMode of ['through', 'back'] as const) {
      it(`a tree is made, renamed and found again, write mode ${writeMode}`, async () => {
        const top = path(`/b/${writeMode}`);
        const moved = path(`/b/${writeMode}-moved`);
        const below = (parent: ByteString, name: string) => `${parent}/${name}` as ByteString;
        await begin(writeMode);
        await store.makeDirectory(top, { mode: 0o750 }, context());
        await store.makeDirectory(below(top, 'sub'), {}, context());
        await upload(below(top, 'file'), 'first', 0o600);
        await upload(below(top, 'sub/other'), 'other');
        await upload(below(top, 'file'), 'second, longer');
        const target = { target: path('file') };
        await store.makeNode(below(top, 'link'), 'symlink', target, context());
        await store.setAttributes(below(top, 'sub/other'), { mtimeMs: 86_400_000 }, context());
        await store.rename(
          top,
          moved,
          { isExclusive: true, watched: [], keepsTarget: false },
          context(),
        );
        await assert.rejects(store.stat(top, context()), { code: 'not-found' });
        assert.deepEqual(await namesIn(moved), ['file file', 'link symlink', 'sub directory']);
        await store.close(context());

        // Whoever comes next, also to read only, finds all of it in the cluster.
        await begin('through');
        assert.equal(await contentOf(below(moved, 'file')), 'second, longer');
        const view = openReadView({
          reader: client,
          clock: systemClock,
          logger: silentLogger,
          attributesTtlMs: 1000,
        });
        assert.equal((await view.stat(below(moved, 'file'), context())).posix.mode, 0o600);
        assert.equal((await view.stat(moved, context())).posix.mode, 0o750);
        assert.equal((await view.stat(below(moved, 'link'), context())).posix.target, 'file');
        const other = await view.stat(below(moved, 'sub/other'), context());
        assert.equal(other.posix.mtimeMs, 86_400_000);
        const onDisk = join(cluster.dataDir, moved);
        assert.equal(await readFile(join(onDisk, 'file'), 'utf8'), 'second, longer');

        await assert.rejects(store.removeDirectory(moved, context()), { code: 'not-empty' });
        const { kept } = await store.removeFile(below(moved, 'file'), true, context());
        assert.ok(kept);
        for (const name of ['sub/other', 'link']) {
          await store.removeFile(below(moved, name), false, context());
        }
        await store.removeDirectory(below(moved, 'sub'), context());
        await store.removeDirectory(moved, context());
        await store.removeKept(kept.path, context());
        await store.close(context());
        const left = (await readdir(cluster.dataDir, { recursive: true })).filter((name) =>
          name.includes(writeMode),
        );
        assert.deepEqual(left, []);
      });
    }
  });
}
