/** Renames in a cluster that does as it is told: what must be there afterwards, and what must not. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import type { ByteString } from '../base/byte-string.ts';
import { byteStringOfText as text } from '../base/byte-string.ts';
import { systemClock } from '../base/clock.ts';
import { Random } from '../base/random.ts';
import type { CallContext, FileVersion } from '../cluster/index.ts';
import type { ClusterStore } from './store.ts';
import { Life, MemoryCluster, openInMemory } from './testing/memory-cluster.ts';
import type { NodeStatus } from './types.ts';

const DIRECTORY_RENAME = { isExclusive: false, watched: [], keepsTarget: false };

function context(): CallContext {
  return { signal: new AbortController().signal, deadlineMs: performance.now() + 10_000 };
}

async function openIn(
  directory: string,
  cluster: MemoryCluster,
  writeMode: 'through' | 'back',
  isAtomic: boolean,
): Promise<ClusterStore> {
  return await openInMemory({
    cluster,
    life: new Life(new Random(1)),
    directory,
    journal: { bytes: Buffer.alloc(0) },
    isAtomic,
    writeMode,
    attributesTtlMs: 60_000,
    clock: systemClock,
    // Nothing reaches the cluster before a test says so.
    tuning: { attributesDelayMs: 60_000, retryFirstMs: 1, retryMaxMs: 5 },
  });
}

for (const writeMode of ['through', 'back'] as const) {
  for (const isAtomic of [false, true]) {
    describe(`renames, write mode ${writeMode}, ${isAtomic ? 'atomic' : 'copied'}`, () => {
      // The store's own timers keep no process alive.
      let alive: NodeJS.Timeout;
      let directory: string;
      let cluster: MemoryCluster;
      let store: ClusterStore;
      let uploads = 0;

      beforeEach(async () => {
        alive = setInterval(() => undefined, 1000);
        directory = await mkdtemp(join(tmpdir(), 'alluxio-fuse-renames-'));
        cluster = new MemoryCluster();
        store = await openIn(directory, cluster, writeMode, isAtomic);
      });

      afterEach(async () => {
        await store.close(context());
        await rm(directory, { recursive: true, force: true });
        clearInterval(alive);
      });

      async function write(path: string, content: string, mode?: number): Promise<NodeStatus> {
        const stagingName = `staging-${uploads++}`;
        await writeFile(join(directory, stagingName), content);
        return await store.upload(
          {
            path: text(path),
            stagingName,
            segments: [{ from: 'staging', lengthBytes: content.length }],
            base: undefined,
            attributes: mode === undefined ? {} : { mode },
            isHandedOver: true,
          },
          context(),
        );
      }

      async function read(path: ByteString, version: FileVersion): Promise<string> {
        const bytes = Buffer.alloc(version.lengthBytes);
        const request = { path, offset: 0, lengthBytes: version.lengthBytes, version };
        await store.read(request, (chunk, at) => bytes.set(chunk, at), context());
        return bytes.toString();
      }

      const makeDirectory = (path: string): Promise<NodeStatus> =>
        store.makeDirectory(text(path), {}, context());

      it('keeps the attributes of entries whose like was removed from the replaced directory', async () => {
        await makeDirectory('/from');
        await makeDirectory('/to');
        await write('/to/file', 'old', 0o400);
        await store.removeFile(text('/to/file'), false, context());
        await write('/from/file', 'new', 0o444);
        await store.rename(text('/from'), text('/to'), DIRECTORY_RENAME, context());
        const { posix } = await store.stat(text('/to/file'), context());
        assert.equal(posix.mode, 0o444);
        await store.sync(text('/to'), context());
        const after = await store.stat(text('/to/file'), context());
        assert.equal(after.posix.mode, 0o444, 'also once everything is written');
      });

      it('keeps the bytes of a file that is replaced while somebody has it open', async () => {
        await makeDirectory('/top');
        const old = await write('/top/file', 'old bytes');
        await write('/top/new', 'new');
        const options = { ...DIRECTORY_RENAME, keepsTarget: true };
        const { kept } = await store.rename(
          text('/top/new'),
          text('/top/file'),
          options,
          context(),
        );
        assert.ok(kept);
        assert.equal(kept.version.lengthBytes, old.lengthBytes);
        assert.equal(await read(kept.path, kept.version), 'old bytes');
        const status = await store.stat(text('/top/file'), context());
        assert.equal(await read(text('/top/file'), status), 'new');
        await store.removeKept(kept.path, context());
        await assert.rejects(read(kept.path, kept.version));
        assert.deepEqual(
          [...cluster.files.keys()].filter((path) => path.includes('/kept/')),
          [],
        );
      });

      it('keeps nothing of a file that it could not replace', async () => {
        await makeDirectory('/top');
        await write('/top/file', 'old bytes');
        await write('/top/new', 'new');
        await store.sync(text('/top'), context());
        const options = { isExclusive: true, watched: [], keepsTarget: true };
        const renaming = store.rename(text('/top/new'), text('/top/file'), options, context());
        await assert.rejects(renaming, { code: 'exists' });
        const status = await store.stat(text('/top/file'), context());
        assert.equal(await read(text('/top/file'), status), 'old bytes');
        assert.deepEqual(
          [...cluster.files.keys()].filter((path) => path.includes('/kept/')),
          [],
        );
      });

      it('shows the attributes of a directory under the one name and then under the other', async () => {
        await store.makeDirectory(text('/from'), { mode: 0o700 }, context());
        await store.sync(text('/'), context());
        const renaming = store.rename(text('/from'), text('/to'), DIRECTORY_RENAME, context());
        const seen = { '/from': 0, '/to': 0, isDone: false };
        void renaming.finally(() => (seen.isDone = true));
        while (!seen.isDone) {
          for (const path of ['/from', '/to'] as const) {
            const status = await store.stat(text(path), context()).catch(() => undefined);
            if (status === undefined) continue;
            seen[path] += 1;
            assert.equal(status.posix.mode, 0o700, path);
          }
          await setImmediate();
        }
        await renaming;
        assert.ok(seen['/from'] > 0);
        assert.equal((await store.stat(text('/to'), context())).posix.mode, 0o700);
      });

      it('leaves no links behind for a directory that is made anew', async () => {
        await makeDirectory('/from');
        await makeDirectory('/from/below');
        await store.makeNode(text('/from/below/link'), 'symlink', { target: text('x') }, context());
        await store.sync(text('/from/below'), context());
        await store.rename(text('/from'), text('/to'), DIRECTORY_RENAME, context());
        await makeDirectory('/from');
        await makeDirectory('/from/below');
        const names: ByteString[] = [];
        for await (const batch of store.list(text('/from/below'), context())) {
          names.push(...batch.map(({ name }) => name));
        }
        assert.deepEqual(names, []);
        const { kind } = await store.stat(text('/to/below/link'), context());
        assert.equal(kind, 'symlink');
      });
    });
  }
}
