/**
 * Goal: a file system under --staging-dir without one free block neither loses what was acknowledged nor
 * keeps it from travelling: the uploads that make room need no room. Method: a small tmpfs that files of
 * the mode back fill while no worker takes them, and then a file of somebody else's to the last block.
 */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, suite, test } from 'node:test';
import type { FaultRule } from '../../src/devcluster/index.ts';
import { startTestDevcluster, TEST_PAGE_SIZE_BYTES } from '../support/devcluster.ts';
import { lastFirst } from '../support/last-first.ts';
import { mountForTest } from '../support/mount.ts';
import { output, run } from '../support/run.ts';
import { skipReason } from '../support/skip.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import { waitFor } from '../support/wait.ts';
import { writableFlags } from '../support/writable.ts';

const STAGING_MB = 12;
const FILE_BYTES = 1024 * 1024;
const FILES_MAX = 2 * STAGING_MB;
const DRAIN_MS = 60_000;
const LIMIT_MS = 240_000;

const sumOf = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

suite(
  'a staging file system without a free block',
  { skip: skipReason('root', 'fuse', 'etcd') },
  () => {
    const cleanup = lastFirst((undo) => after(undo));

    test('what was acknowledged arrives, and makes room', { timeout: LIMIT_MS }, async () => {
      const cluster = await startTestDevcluster(cleanup, { personality: 'oss' });
      const staging = await makeTempDir(cleanup, 'staging');
      await output('mount', ['-t', 'tmpfs', '-o', `size=${STAGING_MB}m`, 'tmpfs', staging]);
      cleanup(async () => {
        await output('umount', ['-l', staging]);
      });
      const stored = join(cluster.dataDir, 'b');
      await mkdir(stored);
      const mount = await mountForTest(cleanup, cluster.info, {
        pageSizeBytes: TEST_PAGE_SIZE_BYTES,
        flags: [...writableFlags(staging, 'back'), '--under-store-fallback=off'],
      });
      const faults = async (rules: readonly FaultRule[]): Promise<void> => {
        for (const worker of cluster.workers) await worker.setFaults(rules);
      };
      const refused: FaultRule = {
        port: 's3',
        method: 'PUT',
        action: { kind: 'refuse', status: 503 },
      };
      await faults([refused]);
      const acknowledged = new Map<string, string>();
      let code: string | undefined;
      for (let index = 0; index < FILES_MAX && code === undefined; index++) {
        const bytes = randomBytes(FILE_BYTES);
        try {
          await writeFile(mount.path('b', `f${index}`), bytes);
          acknowledged.set(`f${index}`, sumOf(bytes));
        } catch (error) {
          ({ code } = error as NodeJS.ErrnoException);
        }
      }
      assert.equal(code, 'ENOSPC');
      assert.ok(acknowledged.size > STAGING_MB / 2, `${acknowledged.size} files fitted`);
      const ballast = join(staging, 'ballast');
      const filling = await run('dd', ['if=/dev/zero', `of=${ballast}`, 'bs=4096']);
      assert.match(filling.err, /No space left on device/);
      await assert.rejects(writeFile(mount.path('b', 'more'), 'more'), (error) =>
        ['ENOSPC', 'EIO'].includes((error as NodeJS.ErrnoException).code ?? ''),
      );
      await faults([]);
      await waitFor(
        'the backlog to travel',
        async () => (await mount.metric('alluxio_fuse_backlog_files')) === 0,
        DRAIN_MS,
      );
      for (const [name, sum] of acknowledged) {
        assert.equal(sumOf(await readFile(join(stored, name))), sum, name);
      }
      await writeFile(mount.path('b', 'after'), 'after');
      assert.equal(await readFile(mount.path('b', 'after'), 'utf8'), 'after');
      await rm(ballast);
      await mount.unmount();
      assert.equal(await readFile(join(stored, 'after'), 'utf8'), 'after');
    });
  },
);
