/**
 * The other kernel side: the core in this thread, asked by libfuse through the package's callbacks,
 * which need a turning event loop. Slower than the kernel thread, and the mount ends with the
 * process.
 */
import { systemClock } from '../base/clock.ts';
import { MemoryTier } from '../cache/index.ts';
import type { StagingArea } from '../cache/index.ts';
import { NativeMount } from '../fuse/native/index.ts';
import { Core } from '../vfs/index.ts';
import type { Job } from '../vfs/index.ts';
import { coreOptionsOf } from './core-options.ts';
import { stagingOf } from './staging-area.ts';
import type { KernelSide, KernelSideParts } from './daemon.ts';
import { NativeOperations } from './native-operations.ts';
import { NativePaths } from './native-paths.ts';
import { NativeReplies } from './native-replies.ts';

/** Deadlines of waiting requests are looked at this often. */
const TICK_MS = 250;
/** How long an unmount waits for what nobody closed properly. */
const SAVE_REST_MS = 60_000;
/** How soon an unmount from outside is noticed: the package does not tell. */
const MOUNT_CHECK_MS = 1000;
/**
 * The kernel cannot be told of changes here, so it may believe things for this long at most on top
 * of what the core does.
 */
const KERNEL_TIMEOUT_MS_MAX = 1000;

export async function startNativeHost(parts: KernelSideParts): Promise<KernelSide> {
  const { config, counters } = parts;
  const reportInternal = (error: unknown): void => {
    counters.add('internalErrors');
    const { message, stack } = error instanceof Error ? error : new Error(String(error));
    parts.onInternalError(message, stack ?? '');
  };
  const replies = new NativeReplies(reportInternal);
  // The kernel asks as soon as it is mounted, but results can only be delivered to what this
  // function returns.
  let earlyJobs: Job[] | undefined = [];
  const staging = stagingOf(config, parts.incarnation, counters, reportInternal);
  const core = new Core({
    options: coreOptionsOf(config, parts.incarnation),
    clock: systemClock,
    wallMs: Date.now(),
    counters,
    tier: new MemoryTier(parts.slab, config.pageSizeBytes),
    staging,
    replies,
    effects: {
      // Not before the core is done with this event: a job may have its result at once.
      submit: (job) => {
        if (earlyJobs === undefined) queueMicrotask(() => parts.onJob(job));
        else earlyJobs.push(job);
      },
      // The kernel learns by its timeouts.
      invalidateInode: () => undefined,
      invalidateEntry: (parent, name) => paths.drop(parent, name),
      report: (failure) => parts.onFailure(failure),
    },
  });
  const paths = new NativePaths({ core, replies, clock: systemClock });
  core.publish();
  const handler = new NativeOperations({
    config,
    core,
    replies,
    paths,
    counters,
    clock: systemClock,
  });
  const kernelTimeout = (ms: number): number =>
    config.immutable ? ms : Math.min(ms, KERNEL_TIMEOUT_MS_MAX);
  const mount = await NativeMount.mount(
    {
      mountpoint: config.mountpoint,
      fsName: config.fsName,
      allowOther: config.allowOther,
      defaultPermissions: config.defaultPermissions,
      isReadOnly: config.readOnly,
      isImmutable: config.immutable,
      flags: config.mountFlags,
      maxBackground: config.maxBackground,
      attrTimeoutMs: kernelTimeout(config.attrTimeoutMs),
      entryTimeoutMs: kernelTimeout(config.entryTimeoutMs),
      negativeTimeoutMs: kernelTimeout(config.negativeTimeoutMs),
    },
    handler,
    {
      onInexpressible: (path, reason) => parts.onFailure({ code: 'inexpressible', path, reason }),
      onInternalError: reportInternal,
    },
  );
  // By then the caller, who waits for this function, holds what it returns.
  setImmediate(() => {
    const jobs = earlyJobs ?? [];
    earlyJobs = undefined;
    for (const job of jobs) parts.onJob(job);
  });
  return new NativeHost(parts, core, mount, staging, reportInternal);
}

class NativeHost implements KernelSide {
  readonly #parts: KernelSideParts;
  readonly #core: Core;
  readonly #mount: NativeMount;
  readonly #staging: StagingArea;
  readonly #reportInternal: (error: unknown) => void;
  readonly #timers: NodeJS.Timeout[];
  #isStopping = false;
  #isForsaken = false;
  #isEnding = false;
  #hasEnded = false;

  constructor(
    parts: KernelSideParts,
    core: Core,
    mount: NativeMount,
    staging: StagingArea,
    reportInternal: (error: unknown) => void,
  ) {
    this.#parts = parts;
    this.#core = core;
    this.#mount = mount;
    this.#staging = staging;
    this.#reportInternal = reportInternal;
    this.#timers = [
      setInterval(() => this.#guarded(() => core.tick()), TICK_MS).unref(),
      setInterval(() => void this.#checkMount(), MOUNT_CHECK_MS).unref(),
    ];
  }

  deliver(result: Parameters<KernelSide['deliver']>[0]): void {
    if (!this.#hasEnded) this.#guarded(() => this.#core.deliver(result));
  }

  /** libfuse 2 knows no passthrough. */
  cacheRetired(): void {}

  stagingReleased(name: string): void {
    this.#staging.released(name);
  }

  /** Whoever can ask finds the loop turning. */
  ping(): void {
    this.#parts.counters.add('heartbeats');
  }

  saveAll(): void {
    this.#guarded(() => this.#core.saveAll());
  }

  forsake(): void {
    this.#isForsaken = true;
  }

  stop(): void {
    if (this.#isStopping || this.#hasEnded) return;
    this.#isStopping = true;
    void this.#stop();
  }

  async #stop(): Promise<void> {
    try {
      await this.#mount.unmount();
    } catch (error) {
      // The end of the process takes the connection away in any case.
      this.#reportInternal(error);
    }
    this.#guarded(() => this.#core.shutdown());
    // The package passes answers on in a later turn.
    setImmediate(() => void this.#end('stopped'));
  }

  async #checkMount(): Promise<void> {
    try {
      if (this.#isStopping || this.#hasEnded || (await this.#mount.isMounted())) return;
    } catch (error) {
      this.#reportInternal(error);
      return;
    }
    if (this.#isStopping) return;
    // Nobody is left to answer.
    void this.#end('unmounted');
  }

  async #end(reason: 'unmounted' | 'stopped'): Promise<void> {
    if (this.#isEnding) return;
    this.#isEnding = true;
    this.#mount.abandon();
    const unsavedFiles = await this.#saveRest();
    this.#hasEnded = true;
    for (const timer of this.#timers) clearInterval(timer);
    this.#parts.onEnded(reason, unsavedFiles);
  }

  /** What programs wrote and nobody waited for still goes to the cluster. */
  async #saveRest(): Promise<number> {
    const deadlineMs = performance.now() + SAVE_REST_MS;
    for (;;) {
      const unsavedFiles = this.#isForsaken ? this.#core.unsavedCount() : this.#core.saveAll();
      if (unsavedFiles === 0 || this.#isForsaken || performance.now() >= deadlineMs) {
        return unsavedFiles;
      }
      await new Promise((resolve) => setTimeout(resolve, TICK_MS));
    }
  }

  #guarded(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#reportInternal(error);
    }
  }
}
