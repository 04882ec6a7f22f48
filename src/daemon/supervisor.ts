/**
 * Holds the open /dev/fuse and the mount; starts, watches and replaces the daemon; never serves a
 * request. As long as it lives a daemon that dies is replaced over the same descriptor, and programs
 * on the mount wait instead of failing.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { closeSync, writeSync } from 'node:fs';
import type { Logger } from '../base/logger.ts';
import { processStat } from '../base/process-stat.ts';
import type { Worker } from '../cluster/index.ts';
import { describeNameSpace } from '../config/index.ts';
import type { Driver, MountConfig } from '../config/index.ts';
import {
  canIncreaseEpoch,
  canResend,
  findMount,
  mountDevice,
  raiseReadAhead,
  unmount,
} from '../fuse/device/index.ts';
import type { Negotiated } from '../fuse/device/index.ts';
import { encodeIncEpoch, OUT_HEADER_SIZE } from '../fuse/wire/index.ts';
import type { FromDaemon, StartDaemon } from './ipc.ts';
import { probeMount } from './probe-mount.ts';
import { journalDirectory } from './staging-area.ts';
import { findState, isSupervised, removeState, writeState } from './state-dir.ts';
import type { MountState } from './state-dir.ts';

/** Descriptor 3 in the daemon: the first after standard error. */
const DAEMON_FUSE_FD = 3;
/** Longer than the daemon itself waits for the first answer of etcd. */
const START_TIMEOUT_MS = 60_000;
const PROBE_TIMEOUT_MS = 10_000;
/** A daemon that cannot live for a minute in this many tries has a fault that restarting keeps. */
const CRASHES_MAX = 5;
const CRASH_WINDOW_MS = 60_000;
const RESTART_DELAY_MS = 200;
/** After an unmount, and after a request to stop: then the daemon is killed. */
const END_TIMEOUT_MS = 10_000;
/** A daemon that writes saves first what it can; both of its own limits are a minute. */
const END_TIMEOUT_WRITABLE_MS = 150_000;
/**
 * Twice this long after an unmount a daemon that has not heard of it is reported; each look wakes a process
 * that has nothing else to do.
 */
const LOOK_MS = 15_000;
/** Requests of 1 MiB take part in read-ahead only where it is at least as large. */
const READ_AHEAD_KB = 1024;

/**
 * Memory of the daemon besides its pages. V8 sizes heaps for programs that have the machine to
 * themselves: two threads with 32 MiB of young objects each, and old ones collected once they have
 * doubled or more. Half of what lives may be garbage here; 8 MiB are young.
 */
const DAEMON_NODE_FLAGS = ['--max-semi-space-size=4', '--heap-growing-percent=50'];
/**
 * What one thread allocates and another frees (messages) leaves holes in the arena of each: one
 * arena has the fewest. Threads still allocate small pieces from their own caches.
 *
 * Calls to a disk that hangs keep their threads of Node's pool: three reads, two removals and a check
 * of a cache directory, and two writes. Of the four that Node has by itself, none would be left for
 * staging and names.
 */
const DAEMON_ENVIRONMENT = { MALLOC_ARENA_MAX: '1', UV_THREADPOOL_SIZE: '16' };

export class Supervisor {
  #config: MountConfig;
  readonly #logger: Logger;
  readonly #startedAtMs = Date.now();
  #driver: Driver;
  /** Why another driver serves than was asked for. */
  #fellBackFrom: string | undefined;
  #fuseFd: number | undefined;
  #daemon: ChildProcess | undefined;
  /** One that is to be replaced for what it knows. */
  #outdated: ChildProcess | undefined;
  #negotiated: Negotiated | undefined;
  #workers: readonly Worker[] = [];
  #learnedVirtualNodes: number | undefined;
  #warnings: readonly string[] = [];
  #incarnation = 0;
  #restarts = 0;
  #crashTimesMs: number[] = [];
  #state: MountState['state'] = 'starting';
  #readAheadKb: number | undefined;
  #isEnding = false;
  #looksWithoutMount = 0;
  /** The mount point was free when we came: what is mounted there now is ours. */
  #isOwner = false;
  #resolveEnded: (failure: string | undefined) => void = () => undefined;
  /** Resolves when it is all over: undefined, or why it ended other than by an unmount. */
  readonly ended: Promise<string | undefined>;

  constructor(config: MountConfig, logger: Logger) {
    this.#config = config;
    this.#logger = logger;
    this.#driver = config.driver;
    this.ended = new Promise((resolve) => {
      this.#resolveEnded = resolve;
    });
  }

  get driver(): Driver {
    return this.#driver;
  }

  /** What was to be said about the mount when it last came up. */
  get warnings(): readonly string[] {
    return this.#warnings;
  }

  /** Resolves when the mount answers; throws with the reason why it does not, leaving nothing. */
  async start(): Promise<void> {
    try {
      await this.#mount();
      await this.#startDaemon();
      await this.#tune();
      await probeMount(this.#config.mountpoint, PROBE_TIMEOUT_MS);
    } catch (error) {
      await this.#cleanUp();
      if (this.#fellBackFrom === undefined || !(error instanceof Error)) throw error;
      throw new Error(`${this.#fellBackFrom}. Nor could --driver fuse-native: ${error.message}`, {
        cause: error,
      });
    }
    this.#state = 'serving';
    this.#publish();
    const looking = setInterval(() => void this.#look(), LOOK_MS).unref();
    void this.ended.then(() => clearInterval(looking));
  }

  /**
   * An unmount ends the daemon only when the kernel lets go of the mount; until then others read on:
   * say so, for whoever unmounted sees nothing of it.
   */
  async #look(): Promise<void> {
    if (this.#state !== 'serving' || this.#isEnding) return;
    const isMounted = (await findMount(this.#config.mountpoint)) !== undefined;
    this.#looksWithoutMount = isMounted ? 0 : this.#looksWithoutMount + 1;
    if (this.#looksWithoutMount < 2 || this.#state !== 'serving' || this.#isEnding) return;
    this.#state = 'detached';
    this.#publish();
    this.#logger.warn(
      {},
      'Unmounted, but still in use: by files that programs have open, or by a copy of the mount in ' +
        'another mount name space (a container). The daemon serves them; alluxio-fuse umount ends it',
    );
  }

  async #mount(): Promise<void> {
    const config = this.#config;
    const other = findState(config.stateDir, config.mountpoint);
    if (other !== undefined && other.supervisorPid !== process.pid && isSupervised(other)) {
      throw new Error(
        `"${config.mountpoint}" is already looked after by the supervisor with pid ${other.supervisorPid}; ` +
          `unmount it first (alluxio-fuse umount ${config.mountpoint})`,
      );
    }
    const existing = await findMount(config.mountpoint);
    if (existing !== undefined && existing.type.startsWith('fuse')) {
      throw new Error(
        `"${config.mountpoint}" already has a mount of type ${existing.type}; unmount it first ` +
          `(alluxio-fuse umount ${config.mountpoint}, or umount -l if it is dead)`,
      );
    }
    this.#isOwner = true;
    if (this.#driver !== 'device') return;
    try {
      this.#fuseFd = await mountDevice({
        mountpoint: config.mountpoint,
        fsName: config.fsName,
        uid: config.uid,
        gid: config.gid,
        allowOther: config.allowOther,
        defaultPermissions: config.defaultPermissions,
        isReadOnly: config.readOnly,
        flags: config.mountFlags,
      });
    } catch (error) {
      this.#logger.warn(
        { error },
        'The device driver cannot mount here; falling back to --driver fuse-native',
      );
      this.#driver = 'fuse-native';
      this.#fellBackFrom = error instanceof Error ? error.message : String(error);
    }
  }

  #closeDevice(): void {
    if (this.#fuseFd !== undefined) closeSync(this.#fuseFd);
    this.#fuseFd = undefined;
    this.#negotiated = undefined;
  }

  /** Starts a life of the daemon and waits until it serves. */
  async #startDaemon(): Promise<void> {
    this.#incarnation++;
    const fds = this.#fuseFd === undefined ? [] : [this.#fuseFd];
    const script = new URL('./daemon-main.js', import.meta.url).pathname;
    const daemon = spawn(process.execPath, [...DAEMON_NODE_FLAGS, script], {
      env: { ...DAEMON_ENVIRONMENT, ...process.env },
      stdio: ['ignore', 'inherit', 'inherit', ...fds, 'ipc'],
    });
    this.#daemon = daemon;
    this.#publish();
    const message: StartDaemon = {
      kind: 'start',
      config: this.#config,
      driver: this.#driver,
      fuseFd: this.#fuseFd === undefined ? undefined : DAEMON_FUSE_FD,
      incarnation: this.#incarnation,
      negotiated: this.#negotiated,
      startedAtMs: this.#startedAtMs,
      workers: this.#workers,
      learnedVirtualNodes: this.#learnedVirtualNodes,
    };
    let hasServed = false;
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => {
        daemon.kill('SIGKILL');
        reject(new Error(`The daemon did not start within ${START_TIMEOUT_MS / 1000} s`));
      }, START_TIMEOUT_MS);
      daemon.on('message', (answer: FromDaemon) => {
        if (answer.kind === 'negotiated') this.#negotiated = answer.negotiated;
        else if (answer.kind === 'workers') this.#workers = answer.workers;
        else if (answer.kind === 'mounts')
          this.#config = { ...this.#config, mounts: answer.mounts };
        else if (answer.kind === 'outdated') {
          this.#outdated = daemon;
          daemon.kill('SIGKILL');
        } else if (answer.kind === 'virtual-nodes') this.#learnedVirtualNodes = answer.learned;
        else if (answer.kind === 'unmounted') this.#isEnding = true;
        else if (answer.kind === 'failed') reject(new Error(answer.reason));
        else {
          hasServed = true;
          this.#warnings = answer.warnings;
          clearTimeout(timer);
          resolve();
        }
      });
      daemon.once('error', reject);
      daemon.once('exit', (code, signal) => {
        clearTimeout(timer);
        reject(new Error(`The daemon ended with ${signal ?? `exit code ${code}`}`));
        if (hasServed) void this.#daemonDied(daemon, code, signal);
      });
      daemon.send(message, (error) => {
        if (error !== null) reject(error);
      });
    });
  }

  async #tune(): Promise<void> {
    const entry = await findMount(this.#config.mountpoint);
    if (entry === undefined || this.#driver !== 'device') return;
    this.#readAheadKb = await raiseReadAhead(entry, READ_AHEAD_KB);
    if (this.#readAheadKb !== READ_AHEAD_KB) {
      this.#logger.info(
        { readAheadKb: this.#readAheadKb },
        'Read-ahead of the mount could not be raised; reads go in smaller requests',
      );
    }
  }

  async #daemonDied(
    daemon: ChildProcess,
    code: number | null,
    signal: NodeJS.Signals | null,
  ): Promise<void> {
    if (this.#daemon !== daemon) return;
    this.#daemon = undefined;
    if (this.#isEnding || (await findMount(this.#config.mountpoint)) === undefined) {
      await this.#finish(undefined);
      return;
    }
    if (this.#outdated === daemon) {
      this.#logger.info({}, 'Replacing the daemon, which knew other mounts');
    } else {
      const how = { code, signal, restarts: this.#restarts };
      this.#logger.error(how, 'The daemon died; replacing it');
    }
    this.#doubtNames();
    await this.#replace();
  }

  /**
   * At once, not only when the next daemon is there: what is opened in between must not be an inode of
   * the dead one.
   */
  #doubtNames(): void {
    if (this.#fuseFd === undefined || this.#negotiated === undefined) return;
    if (!canIncreaseEpoch(this.#negotiated)) return;
    const message = Buffer.alloc(OUT_HEADER_SIZE);
    try {
      writeSync(this.#fuseFd, message, 0, encodeIncEpoch(message, 0));
    } catch (error) {
      this.#logger.warn({ error }, 'The kernel did not take a notification');
    }
  }

  async #replace(): Promise<void> {
    const nowMs = performance.now();
    this.#crashTimesMs = this.#crashTimesMs.filter((time) => time > nowMs - CRASH_WINDOW_MS);
    this.#crashTimesMs.push(nowMs);
    if (this.#crashTimesMs.length > CRASHES_MAX) {
      await this.#finish(`The daemon died ${CRASHES_MAX + 1} times within a minute; giving up`);
      return;
    }
    this.#restarts++;
    this.#state = 'restarting';
    this.#publish();
    try {
      if (!this.#canTakeOver()) await this.#remount();
      await this.#startDaemon();
      this.#state = 'serving';
      this.#publish();
    } catch (error) {
      if (this.#isEnding) {
        await this.#finish(undefined);
        return;
      }
      this.#logger.error({ error }, 'The replacement of the daemon did not start');
      this.#daemon?.removeAllListeners('exit');
      this.#daemon?.kill('SIGKILL');
      this.#daemon = undefined;
      const delayMs = RESTART_DELAY_MS * 2 ** this.#crashTimesMs.length;
      setTimeout(() => void this.#replace(), delayMs);
    }
  }

  /**
   * A new daemon can only go on where the kernel sends again what the old one left unanswered
   * (Linux 6.9); before that, programs would wait for those answers for ever.
   */
  #canTakeOver(): boolean {
    return (
      this.#fuseFd !== undefined && this.#negotiated !== undefined && canResend(this.#negotiated)
    );
  }

  async #remount(): Promise<void> {
    if ((await findMount(this.#config.mountpoint)) !== undefined) {
      await unmount(this.#config.mountpoint, true);
    }
    // Closing the last descriptor aborts the old connection: whoever waits gets an error.
    this.#closeDevice();
    await this.#mount();
  }

  /**
   * Unmounts and ends. `isLazy`: also while programs have files open; the end then comes when they
   * close them. Once more: now, whoever still reads.
   */
  async stop(isLazy: boolean): Promise<void> {
    if (this.#state === 'unmounting') {
      if (isLazy) this.#endDaemon();
      return;
    }
    const before = this.#state;
    this.#state = 'unmounting';
    try {
      this.#isEnding = true;
      if ((await findMount(this.#config.mountpoint)) !== undefined) {
        await unmount(this.#config.mountpoint, isLazy);
      }
      if (!isLazy || this.#daemon === undefined) this.#endDaemon();
    } catch (error) {
      this.#isEnding = false;
      this.#state = before;
      throw error;
    }
  }

  reopenLog(): void {
    this.#send({ kind: 'reopen-log' });
  }

  #send(message: { readonly kind: 'stop' } | { readonly kind: 'reopen-log' }): void {
    if (this.#daemon?.connected === true) this.#daemon.send(message, () => undefined);
  }

  #endDaemon(): void {
    const daemon = this.#daemon;
    this.#send({ kind: 'stop' });
    if (daemon === undefined) void this.#finish(undefined);
    else {
      const timeoutMs = this.#config.readOnly ? END_TIMEOUT_MS : END_TIMEOUT_WRITABLE_MS;
      setTimeout(() => daemon.kill('SIGKILL'), timeoutMs).unref();
    }
  }

  async #finish(failure: string | undefined): Promise<void> {
    await this.#cleanUp();
    this.#resolveEnded(failure);
  }

  async #cleanUp(): Promise<void> {
    this.#isEnding = true;
    const daemon = this.#daemon;
    this.#daemon = undefined;
    if (daemon !== undefined && daemon.exitCode === null && daemon.signalCode === null) {
      const gone = new Promise((resolve) => daemon.once('exit', resolve));
      daemon.kill('SIGKILL');
      await gone;
    }
    if (!this.#isOwner) return;
    const left = await findMount(this.#config.mountpoint);
    if (left?.type.startsWith('fuse') === true) {
      try {
        await unmount(this.#config.mountpoint, true);
      } catch (error) {
        this.#logger.error({ error }, 'The mount could not be taken away');
      }
    }
    this.#closeDevice();
    removeState(this.#config.stateDir, this.#config.mountpoint);
  }

  #publish(): void {
    writeState(this.#config.stateDir, {
      mountpoint: this.#config.mountpoint,
      nameSpace: describeNameSpace(this.#config),
      supervisorPid: process.pid,
      supervisorStart: processStat(process.pid)?.startTicks,
      daemonPid: this.#daemon?.pid,
      driver: this.#driver,
      startedAtMs: this.#startedAtMs,
      restarts: this.#restarts,
      state: this.#state,
      readAheadKb: this.#readAheadKb,
      isWritable: !this.#config.readOnly,
      journalDirectory: journalDirectory(this.#config),
    });
  }
}
