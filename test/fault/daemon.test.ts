/**
 * Goal: programs on the mount outlive the processes that serve it: a killed daemon, a stopped one, a
 * killed supervisor; and what cannot be saved is given up in full, with a reason.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import type { TestContext } from 'node:test';
import type { Devcluster } from '../../src/devcluster/index.ts';
import { startTestDevcluster } from '../support/devcluster.ts';
import { lastFirst } from '../support/last-first.ts';
import { isAlive, isMounted, missingPrograms, mountForTest } from '../support/mount.ts';
import type { TestMount } from '../support/mount.ts';
import { Readers } from '../support/readers.ts';
import { run } from '../support/run.ts';
import { skipReason } from '../support/skip.ts';
import type { Cleanup } from '../support/temp-dir.ts';
import { waitFor } from '../support/wait.ts';
import { FAULT_MEMORY_LIMIT, FAULT_PAGE_BYTES, makeFaultTree } from './fault-tree.ts';

const skip = skipReason('root', 'fuse', 'etcd') || missingPrograms('python3');

const READERS = 8;
const FILES = 8;
const PHASE_MS = 60_000;
/** A new daemon starts within seconds even on a busy machine; readers wait for it. */
const SLOWEST_MS = 30_000;
const SUPERVISOR_CRASHES_MAX = 5;

interface State {
  readonly supervisorPid: number;
  readonly daemonPid?: number;
  readonly state: string;
}

/** As the supervisor wrote it; undefined when it has been taken away. */
function stateOf(mount: TestMount): State | undefined {
  try {
    const [id = ''] = readdirSync(mount.stateDir);
    return JSON.parse(readFileSync(join(mount.stateDir, id, 'state.json'), 'utf8')) as State;
  } catch {
    return undefined;
  }
}

async function servingDaemon(mount: TestMount, unlike: number): Promise<number> {
  return await waitFor(
    'a serving daemon',
    () => {
      const state = stateOf(mount);
      const pid = state?.daemonPid ?? 0;
      return state?.state === 'serving' && pid !== unlike && pid > 0 && pid;
    },
    PHASE_MS,
  );
}

suite('the processes of a mount', { skip }, () => {
  const cleanup = lastFirst((undo) => after(undo));
  let cluster: Devcluster;
  let files: string[];

  before(async () => {
    cluster = await startTestDevcluster(cleanup, { pageSizeBytes: FAULT_PAGE_BYTES });
    files = await makeFaultTree(cluster.dataDir);
  });

  const cleanupOf = (context: TestContext): Cleanup => lastFirst((undo) => context.after(undo));

  const mountOf = async (undo: Cleanup): Promise<TestMount> =>
    await mountForTest(undo, cluster.info, { flags: ['--memory-limit', FAULT_MEMORY_LIMIT] });

  const readersOf = async (undo: Cleanup, mount: TestMount): Promise<Readers> => {
    const readers = new Readers(undo, {
      count: READERS,
      sourceDir: cluster.dataDir,
      mountedDir: mount.mountpoint,
      files,
      seed: 2,
    });
    await readers.progress(FILES, PHASE_MS);
    return readers;
  };

  test('a daemon that is killed is replaced, and readers at most open a file again', async (context) => {
    const undo = cleanupOf(context);
    const mount = await mountOf(undo);
    const readers = await readersOf(undo, mount);
    const ring = async (): Promise<unknown> => {
      const { cluster: known } = await mount.status();
      return known?.virtualNodesFrom === 'learned' && known.virtualNodes;
    };
    const learned = await waitFor('the virtual nodes to be learned', ring, PHASE_MS);
    let daemonPid = 0;
    for (let kills = 0; kills < 3; kills++) {
      daemonPid = await servingDaemon(mount, daemonPid);
      process.kill(daemonPid, 'SIGKILL');
      await readers.progress(FILES, PHASE_MS);
    }
    await servingDaemon(mount, daemonPid);
    await readers.stop();
    context.diagnostic(readers.describe());
    readers.assertNoErrors();
    assert.ok(readers.slowestMs < SLOWEST_MS, readers.describe());
    const { restarts, inodes } = await mount.status();
    assert.equal(restarts, 3);
    assert.equal(inodes.openHandles, 0);
    assert.match(await mount.logText(), /The daemon died; replacing it/);
    assert.equal(await ring(), learned);
    const switches = (await mount.logText()).split('Switched the virtual nodes').length - 1;
    assert.equal(switches, 1, 'learned once, and carried over three restarts');
    await mount.unmount();
  });

  test('a daemon that is killed while etcd is away is replaced, too', async (context) => {
    const undo = cleanupOf(context);
    const mount = await mountOf(undo);
    const readers = await readersOf(undo, mount);
    const daemonPid = await servingDaemon(mount, 0);
    await cluster.etcd?.down();
    try {
      process.kill(daemonPid, 'SIGKILL');
      await readers.progress(FILES, PHASE_MS);
    } finally {
      await cluster.etcd?.up();
    }
    await readers.progress(FILES, PHASE_MS);
    await readers.stop();
    context.diagnostic(readers.describe());
    readers.assertNoErrors();
    assert.ok(readers.slowestMs < SLOWEST_MS, readers.describe());
    await mount.unmount();
  });

  test('a daemon that is stopped for a while goes on', async (context) => {
    const undo = cleanupOf(context);
    const mount = await mountOf(undo);
    const readers = await readersOf(undo, mount);
    const daemonPid = await servingDaemon(mount, 0);
    process.kill(daemonPid, 'SIGSTOP');
    try {
      await waitFor('the daemon to stop', () => /^State:\s+T/m.test(procStatus(daemonPid)));
      const bytesBefore = readers.bytes;
      const endMs = performance.now() + 3_000;
      await waitFor('some seconds to pass', () => performance.now() > endMs);
      // What is on its way may still be counted.
      assert.ok(readers.bytes - bytesBefore < 64 * 1024 * 1024);
    } finally {
      process.kill(daemonPid, 'SIGCONT');
    }
    await readers.progress(FILES, PHASE_MS);
    await readers.stop();
    readers.assertNoErrors();
    assert.equal(readers.reopened.length, 0);
    assert.equal((await mount.status()).daemonPid, daemonPid);
    await mount.unmount();
  });

  test('without its supervisor a mount serves on, says so, and umount ends it all', async (context) => {
    const undo = cleanupOf(context);
    const mount = await mountOf(undo);
    const readers = await readersOf(undo, mount);
    const { supervisorPid } = await mount.status();
    process.kill(supervisorPid, 'SIGKILL');
    await waitFor('the supervisor to die', () => !isAlive(supervisorPid));
    await readers.progress(FILES, PHASE_MS);
    assert.match((await mount.status()).state, /supervisor gone/);
    await readers.stop();
    readers.assertNoErrors();
    assert.equal(readers.reopened.length, 0);
    await mount.unmount();
    assert.equal(stateOf(mount), undefined);
  });

  test('without supervisor and daemon the mount is dead, and umount takes it away', async (context) => {
    const mount = await mountOf(cleanupOf(context));
    const { supervisorPid, daemonPid } = await mount.status();
    process.kill(supervisorPid, 'SIGKILL');
    process.kill(daemonPid ?? 0, 'SIGKILL');
    await waitFor('both to die', () => !isAlive(supervisorPid) && !isAlive(daemonPid ?? 0));
    const { code } = await run('stat', ['-f', mount.mountpoint], { timeoutMs: 10_000 });
    assert.notEqual(code, 0);
    assert.match((await mount.status()).state, /supervisor gone/);
    await mount.unmount();
    assert.equal(stateOf(mount), undefined);
  });

  test('SIGTERM of the supervisor unmounts', async (context) => {
    const mount = await mountOf(cleanupOf(context));
    const { supervisorPid } = await mount.status();
    process.kill(supervisorPid, 'SIGTERM');
    await mount.ended();
    assert.equal(stateOf(mount), undefined);
  });

  test('SIGTERM of the supervisor under readers detaches the mount and ends with the last of them', async (context) => {
    const undo = cleanupOf(context);
    const mount = await mountOf(undo);
    const readers = await readersOf(undo, mount);
    const { supervisorPid } = await mount.status();
    process.kill(supervisorPid, 'SIGTERM');
    await waitFor('the mount to be gone', () => !isMounted(mount.mountpoint), PHASE_MS);
    await readers.until('an open that fails', () => readers.errors.length > 0, PHASE_MS);
    await readers.stop();
    readers.assertNothingWrong();
    // What was open was read to its end; what came later found the empty mount point.
    const errnos = new Set(readers.errors.map((error) => error.errno));
    assert.deepEqual([...errnos], ['ENOENT'], readers.describe());
    await mount.ended();
    assert.equal(stateOf(mount), undefined);
  });

  test('a daemon that dies again and again is given up, and nothing is left', async (context) => {
    const mount = await mountOf(cleanupOf(context));
    let daemonPid = 0;
    for (let kills = 0; kills <= SUPERVISOR_CRASHES_MAX; kills++) {
      daemonPid = await servingDaemon(mount, daemonPid);
      process.kill(daemonPid, 'SIGKILL');
    }
    await mount.ended();
    assert.match(await mount.logText(), /The daemon died 6 times within a minute; giving up/);
    assert.equal(stateOf(mount), undefined);
  });
});

function procStatus(pid: number): string {
  return readFileSync(`/proc/${pid}/status`, 'utf8');
}
