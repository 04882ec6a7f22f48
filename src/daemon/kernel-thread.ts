/**
 * The kernel thread: hosts the core, answers the kernel, never waits for network or disk. Its event
 * loop does not turn while the mount is up; messages of the cluster thread are taken from the port
 * when the wake-up descriptor says so.
 */
import { receiveMessageOnPort, workerData } from 'node:worker_threads';
import { systemClock } from '../base/clock.ts';
import { MemoryTier, Slab } from '../cache/index.ts';
import { FuseChannel, runLoop } from '../fuse/device/index.ts';
import { Poller, takeEventfd } from '../sys/index.ts';
import { Core, Counters } from '../vfs/index.ts';
import { DeviceBackings } from './backing-files.ts';
import { coreOptionsOf } from './core-options.ts';
import { KernelSession } from './kernel-session.ts';
import { passthroughProblem } from './passthrough-status.ts';
import { stagingOf } from './staging-area.ts';
import type { FromKernelThread, KernelThreadData, ToKernelThread } from './messages.ts';
import { isPackedPage, packFetch, unpackPage } from './packed-messages.ts';

/** While requests wait (deadlines) or there are too many inodes. */
const TICK_BUSY_MS = 250;
/** An idle mount need not wake up at all; the heartbeat asks by itself. */
const TICK_IDLE_MS = 60_000;
/** How long an unmount waits for what nobody closed properly. */
const SAVE_REST_MS = 60_000;

function main(data: KernelThreadData): void {
  const { port, config } = data;
  const send = (message: FromKernelThread): void => port.postMessage(message);
  const counters = new Counters(data.counters);
  const slab = new Slab(data.slabGeometry, data.slab);
  const wakeFlag = new Int32Array(data.wakeFlag);
  const channel = new FuseChannel(data.fuseFd);
  let isStopped = false;
  let isForsaken = false;

  const reportInternal = (error: unknown): void => {
    const { message, stack } = error instanceof Error ? error : new Error(String(error));
    send({ kind: 'internal-error', message, stack: stack ?? '' });
  };
  const backings =
    passthroughProblem(config, 'device') === undefined
      ? new DeviceBackings({
          fuseFd: data.fuseFd,
          config,
          clock: systemClock,
          onNews: (news) => send({ kind: 'backing', news }),
          onLost: (reason) => send({ kind: 'passthrough-lost', reason }),
          onInternalError: reportInternal,
        })
      : undefined;
  if (data.negotiated !== undefined) backings?.agree(data.negotiated, false);
  const session = new KernelSession({
    channel,
    config,
    counters,
    clock: systemClock,
    negotiated: data.negotiated,
    onNegotiated: (negotiated) => {
      backings?.agree(negotiated, true);
      send({ kind: 'negotiated', negotiated });
    },
    onInternalError: reportInternal,
  });
  const staging = stagingOf(config, data.incarnation, counters, reportInternal);
  const core = new Core({
    options: coreOptionsOf(config, data.incarnation),
    clock: systemClock,
    wallMs: Date.now(),
    counters,
    tier: new MemoryTier(slab, config.pageSizeBytes),
    staging,
    ...(backings === undefined ? {} : { backings }),
    replies: session,
    effects: {
      submit: (job) => send(job.kind === 'fetch' ? packFetch(job) : { kind: 'job', job }),
      invalidateInode: (ino) => send({ kind: 'invalidate-inode', ino }),
      invalidateEntry: (parent, name) => send({ kind: 'invalidate-entry', parent, name }),
      report: (failure) => send({ kind: 'failure', failure }),
    },
  });
  session.attach(core);
  core.publish();

  const handle = (message: ToKernelThread): void => {
    if (isPackedPage(message)) core.deliver(unpackPage(message));
    else if (message.kind === 'result') core.deliver(message.result);
    else if (message.kind === 'staging-released') staging.released(message.name);
    else if (message.kind === 'cache-retired') backings?.retired(message.directory);
    else if (message.kind === 'save') core.saveAll();
    else if (message.kind === 'forsake') isForsaken = true;
    else {
      isStopped = true;
      core.shutdown();
    }
  };
  const takeMessages = (): void => {
    counters.add('heartbeats');
    // Cleared first: what arrives from here on rings again.
    Atomics.store(wakeFlag, 0, 0);
    for (;;) {
      const received = receiveMessageOnPort(port);
      if (received === undefined) return;
      try {
        handle(received.message);
      } catch (error) {
        counters.add('internalErrors');
        reportInternal(error);
      }
    }
  };
  runLoop(channel, data.wakeFd, {
    request: (buffer, length) => session.handle(buffer, length),
    wake: takeMessages,
    tick: () => {
      session.tick();
      core.tick();
      backings?.flush();
    },
    tickWithinMs: () => (core.isBusy ? TICK_BUSY_MS : TICK_IDLE_MS),
    isStopped: () => isStopped,
  });
  const unsavedFiles = saveRest(core, data.wakeFd, takeMessages, () => isForsaken);
  send({ kind: 'ended', reason: isStopped ? 'stopped' : 'unmounted', unsavedFiles });
  port.close();
}

/**
 * The mount is gone: what programs wrote and nobody waited for still goes to the cluster. How many
 * files could not be saved.
 */
function saveRest(
  core: Core,
  wakeFd: number,
  takeMessages: () => void,
  isForsaken: () => boolean,
): number {
  const poller = new Poller([wakeFd]);
  const deadlineMs = performance.now() + SAVE_REST_MS;
  for (;;) {
    const unsavedFiles = isForsaken() ? core.unsavedCount() : core.saveAll();
    if (unsavedFiles === 0 || isForsaken() || performance.now() >= deadlineMs) return unsavedFiles;
    poller.wait(TICK_BUSY_MS);
    if (!poller.isReady(0)) continue;
    takeEventfd(wakeFd);
    takeMessages();
  }
}

main(workerData as KernelThreadData);
