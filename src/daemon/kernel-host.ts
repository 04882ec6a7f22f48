/** The cluster thread's end of the kernel thread: starts it, feeds it, writes its notifications. */
import { MessageChannel, receiveMessageOnPort, Worker } from 'node:worker_threads';
import type { MessagePort } from 'node:worker_threads';
import type { Slab } from '../cache/index.ts';
import type { MountConfig } from '../config/index.ts';
import { canIncreaseEpoch, canResend, NotificationQueue } from '../fuse/device/index.ts';
import type { Negotiated } from '../fuse/device/index.ts';
import {
  encodeIncEpoch,
  encodeInvalEntry,
  encodeInvalInode,
  encodeResend,
} from '../fuse/wire/index.ts';
import { createEventfd, signalEventfd } from '../sys/index.ts';
import type { Counters, FailureReport, Job, JobResult } from '../vfs/index.ts';
import type { BackingNews } from './backing-files.ts';
import type { FromKernelThread, KernelThreadData, ToKernelThread } from './messages.ts';
import { isPackedFetch, packPage, unpackFetch } from './packed-messages.ts';

/** Each up to 400 bytes. Past it the kernel learns of changes by its own TTLs. */
const NOTIFICATIONS_MAX = 10_000;
const NOTIFICATION_BYTES_MAX = 512;
/** In one turn of the loop: sockets wait for it meanwhile. */
const MESSAGES_AT_ONCE = 64;

export interface KernelHostParts {
  readonly config: MountConfig;
  readonly fuseFd: number;
  readonly slab: Slab;
  readonly counters: Counters;
  readonly incarnation: number;
  /** Known when an earlier life of the daemon did INIT over this descriptor. */
  readonly negotiated: Negotiated | undefined;
  readonly onJob: (job: Job) => void;
  readonly onNegotiated: (negotiated: Negotiated) => void;
  readonly onFailure: (failure: FailureReport) => void;
  readonly onBackingNews: (news: BackingNews) => void;
  readonly onPassthroughLost: (reason: string) => void;
  readonly onInternalError: (message: string, stack: string) => void;
  readonly onNotificationFailed: (error: string) => void;
  /** The kernel thread is over: 'unmounted', 'stopped', or it crashed. */
  readonly onEnded: (reason: 'unmounted' | 'stopped' | Error, unsavedFiles: number) => void;
}

export class KernelHost {
  readonly #parts: KernelHostParts;
  readonly #port: MessagePort;
  readonly #worker: Worker;
  readonly #wakeFd: number;
  readonly #wakeFlag: Int32Array;
  readonly #notifications: NotificationQueue;
  #hasEnded = false;

  constructor(parts: KernelHostParts) {
    this.#parts = parts;
    this.#wakeFd = createEventfd();
    const wakeFlag = new SharedArrayBuffer(4);
    this.#wakeFlag = new Int32Array(wakeFlag);
    this.#notifications = new NotificationQueue(parts.fuseFd, NOTIFICATIONS_MAX, (error) => {
      if (error !== undefined) parts.onNotificationFailed(error);
    });
    const { port1, port2 } = new MessageChannel();
    this.#port = port1;
    this.#port.on('message', (message: FromKernelThread) => this.#receiveAll(message));
    const workerData: KernelThreadData = {
      fuseFd: parts.fuseFd,
      wakeFd: this.#wakeFd,
      wakeFlag,
      port: port2,
      slab: parts.slab.buffer,
      slabGeometry: parts.slab.geometry,
      counters: parts.counters.buffer,
      config: parts.config,
      incarnation: parts.incarnation,
      negotiated: parts.negotiated,
    };
    // A takeover asks for what the last life left unanswered; the kernel queues it for our reads.
    if (parts.negotiated !== undefined) this.#takeOver(parts.negotiated);
    this.#worker = new Worker(new URL('./kernel-thread.js', import.meta.url), {
      workerData,
      transferList: [port2],
    });
    this.#worker.on('error', (error) => this.#end(error));
    this.#worker.on('exit', () => this.#exited());
  }

  /** The thread's last words may still lie in the port: the two have no order between them. */
  #exited(): void {
    while (!this.#hasEnded) {
      const received = receiveMessageOnPort(this.#port);
      if (received === undefined) break;
      this.#receive(received.message as FromKernelThread);
    }
    this.#end(new Error('The kernel thread ended without a word'));
  }

  #takeOver(negotiated: Negotiated): void {
    if (canResend(negotiated)) this.#notify((out) => encodeResend(out, 0));
    // Names that the kernel believes lead to inode numbers of the last life.
    if (canIncreaseEpoch(negotiated)) this.#notify((out) => encodeIncEpoch(out, 0));
  }

  deliver(result: JobResult): void {
    this.#send(result.kind === 'page' ? packPage(result) : { kind: 'result', result });
  }

  stagingReleased(name: string): void {
    this.#send({ kind: 'staging-released', name });
  }

  cacheRetired(directory: string): void {
    this.#send({ kind: 'cache-retired', directory });
  }

  saveAll(): void {
    this.#send({ kind: 'save' });
  }

  forsake(): void {
    this.#send({ kind: 'forsake' });
  }

  /** Answers what waits and ends the loop; `onEnded` follows. */
  stop(): void {
    this.#send({ kind: 'stop' });
  }

  /** Makes the kernel thread turn once, so that its heartbeat can be seen. */
  ping(): void {
    if (!this.#hasEnded) this.#wake();
  }

  #send(message: ToKernelThread): void {
    if (this.#hasEnded) return;
    // The rule is about windows; a port has one other end.
    // oxlint-disable-next-line unicorn/require-post-message-target-origin
    this.#port.postMessage(message);
    this.#wake();
  }

  #wake(): void {
    if (Atomics.exchange(this.#wakeFlag, 0, 1) === 0) signalEventfd(this.#wakeFd);
  }

  #notify(encode: (out: Buffer) => number): void {
    const out = Buffer.alloc(NOTIFICATION_BYTES_MAX);
    this.#parts.counters.add('notifications');
    if (!this.#notifications.push(out.subarray(0, encode(out)))) {
      this.#parts.onNotificationFailed('The queue of notifications is full');
    }
  }

  /** What has come meanwhile needs no event of its own. */
  #receiveAll(first: FromKernelThread): void {
    this.#receive(first);
    for (let i = 0; i < MESSAGES_AT_ONCE && !this.#hasEnded; i++) {
      const received = receiveMessageOnPort(this.#port);
      if (received === undefined) return;
      this.#receive(received.message as FromKernelThread);
    }
  }

  #receive(message: FromKernelThread): void {
    if (isPackedFetch(message)) {
      this.#parts.onJob(unpackFetch(message));
      return;
    }
    switch (message.kind) {
      case 'job':
        this.#parts.onJob(message.job);
        return;
      case 'negotiated':
        this.#parts.onNegotiated(message.negotiated);
        return;
      case 'invalidate-inode':
        this.#notify((out) => encodeInvalInode(out, 0, message.ino, 0, 0));
        return;
      case 'invalidate-entry':
        this.#notify((out) => encodeInvalEntry(out, 0, message.parent, message.name, false));
        return;
      case 'failure':
        this.#parts.onFailure(message.failure);
        return;
      case 'backing':
        for (const news of message.news) this.#parts.onBackingNews(news);
        return;
      case 'passthrough-lost':
        this.#parts.onPassthroughLost(message.reason);
        return;
      case 'internal-error':
        this.#parts.onInternalError(message.message, message.stack);
        return;
      case 'ended':
        this.#end(message.reason, message.unsavedFiles);
        return;
    }
  }

  #end(reason: 'unmounted' | 'stopped' | Error, unsavedFiles = 0): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#port.close();
    this.#parts.onEnded(reason, unsavedFiles);
  }
}
