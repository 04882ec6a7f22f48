/**
 * Goal: on an open-source cluster whose workers send readers to a dead owner until its lease ends,
 * and without an under store to go to, exactly the files of that owner fail, at once or within the
 * deadline, with a reason; and they are back when the lease has ended.
 */
import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import type { Devcluster } from '../../src/devcluster/index.ts';
import { startTestDevcluster } from '../support/devcluster.ts';
import { lastFirst } from '../support/last-first.ts';
import { missingPrograms, mountForTest } from '../support/mount.ts';
import type { TestMount } from '../support/mount.ts';
import { Readers } from '../support/readers.ts';
import { output } from '../support/run.ts';
import { skipReason } from '../support/skip.ts';
import { FAULT_MEMORY_LIMIT, FAULT_PAGE_BYTES, makeFaultTree } from './fault-tree.ts';

const skip = skipReason('root', 'fuse', 'etcd') || missingPrograms('python3');

const READERS = 8;
const FILES = 10;
const LEASE_TTL_S = 12;
const REQUEST_TIMEOUT_S = 8;
/** The core's own net lies 5 s behind the timeout; a read may be several requests. */
const SLOWEST_MS = 3 * (REQUEST_TIMEOUT_S + 6) * 1000;
const PHASE_MS = 120_000;

/** Prints the owner of every file as one line of JSON. */
const OWNERS = `
import json, os, sys
names = sys.argv[2:]
owner = lambda name: os.getxattr(os.path.join(sys.argv[1], name), "user.alluxio.worker").decode()
print(json.dumps({name: owner(name) for name in names}))`;

suite('a dead owner without an under store', { skip }, () => {
  const cleanup = lastFirst((undo) => after(undo));
  let cluster: Devcluster;
  let mount: TestMount;
  let readers: Readers;
  let owners: Readonly<Record<string, string>>;

  before(async () => {
    cluster = await startTestDevcluster(cleanup, {
      pageSizeBytes: FAULT_PAGE_BYTES,
      leaseTtlS: LEASE_TTL_S,
    });
    const files = await makeFaultTree(cluster.dataDir);
    mount = await mountForTest(cleanup, cluster.info, {
      flags: [
        `--memory-limit=${FAULT_MEMORY_LIMIT}`,
        '--under-store-fallback=off',
        `--request-timeout=${REQUEST_TIMEOUT_S}s`,
        '--virtual-nodes=5',
        '--membership-refresh=2s',
      ],
    });
    const text = await output('python3', ['-c', OWNERS, mount.mountpoint, ...files]);
    owners = JSON.parse(text) as Record<string, string>;
    readers = new Readers(cleanup, {
      count: READERS,
      sourceDir: cluster.dataDir,
      mountedDir: mount.mountpoint,
      files,
      seed: 3,
    });
    await readers.progress(FILES, PHASE_MS);
    readers.assertNoErrors();
  });

  test('only its files fail, with a reason, and come back with the end of its lease', async (context) => {
    const worker = cluster.workers[1];
    assert.ok(worker !== undefined);
    const { id } = worker.config;
    assert.ok(Object.values(owners).includes(id));
    await worker.kill();
    await readers.until('errors', () => readers.errors.length > 0, PHASE_MS);
    await readers.progress(FILES, PHASE_MS);
    await readers.until(
      'the lease to end',
      async () => (await mount.metric('alluxio_fuse_membership_workers')) === 2,
      PHASE_MS,
    );
    // The workers find out on their own time; the mount may be a second ahead of them.
    await cluster.settled();
    await readers.progress(FILES, PHASE_MS);
    readers.assertNothingWrong();
    for (const error of readers.errors) {
      assert.equal(owners[error.path], id, JSON.stringify(error));
      assert.deepEqual([error.errno, error.op], ['EIO', 'read']);
    }
    const failed = readers.errors.length;
    await readers.progress(FILES, PHASE_MS);
    assert.equal(readers.errors.length, failed, readers.describe());
    assert.ok(readers.slowestMs < SLOWEST_MS, readers.describe());
    context.diagnostic(readers.describe());
    assert.match(
      await mount.logText(),
      /which does not answer; they go on doing so until its lease/,
    );
    assert.ok(
      (await mount.metric('alluxio_fuse_redirects_total', { outcome: 'owner-failing' })) > 0,
    );
  });

  test('nothing is left behind', async () => {
    await readers.stop();
    assert.equal(await mount.metric('alluxio_fuse_internal_errors_total'), 0);
    await mount.unmount();
  });
});
