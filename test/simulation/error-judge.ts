/** Which errors a request may be answered with, by what the cluster said and what was done. */
import assert from 'node:assert/strict';
import { joinPath } from '../../src/base/byte-string.ts';
import type { ByteString } from '../../src/base/byte-string.ts';
import type { Clock } from '../../src/base/clock.ts';
import type { CoreOptions, FsErrorCode } from '../../src/vfs/index.ts';
import type { Delivery, FakeCluster } from './fake-cluster.ts';
import { keepOnly } from './requests.ts';
import type { Cause, Request } from './requests.ts';
import type { World } from './world.ts';

export interface Asked {
  readonly request: Request;
  readonly cause: Cause;
  readonly handleCount: number;
  /** How old the answer's knowledge may be. */
  readonly sinceMs: number;
}

export class ErrorJudge {
  readonly #clock: Clock;
  readonly #world: World;
  readonly #cluster: FakeCluster;
  readonly #options: CoreOptions;
  /** By kind of job, code and path: when it last came. */
  readonly #failures = new Map<string, number>();

  constructor(clock: Clock, world: World, cluster: FakeCluster, options: CoreOptions) {
    this.#clock = clock;
    this.#world = world;
    this.#cluster = cluster;
    this.#options = options;
  }

  note({ job, result }: Delivery): void {
    if (result.kind !== 'failed') return;
    this.#failures.set(`${job.kind} ${result.code} ${job.path}`, this.#clock.nowMs());
  }

  judgeAbsent(path: ByteString, sinceMs: number): void {
    const wasAbsent = this.#world.during(path, sinceMs).some(({ kind }) => kind === undefined);
    assert.ok(wasAbsent, `${path} is said to be absent but existed since ${sinceMs}`);
  }

  isExpected(asked: Asked, code: FsErrorCode): boolean {
    const { request, cause, handleCount, sinceMs } = asked;
    const { call, sentMs } = request;
    const nowMs = this.#clock.nowMs();
    if (cause.kind === 'shutdown') return code === 'shutting-down';
    if (cause.kind === 'interrupt' && cause.target === request.id) return code === 'interrupted';
    if (code === 'timeout' && cause.kind === 'tick') {
      return nowMs - sentMs >= this.#options.requestTimeoutMs;
    }
    const hasFailed = (job: string, path: ByteString, fromMs: number): boolean => {
      return (this.#failures.get(`${job} ${code} ${path}`) ?? -Infinity) >= fromMs;
    };
    switch (call.kind) {
      case 'wrong':
        return code === call.code;
      case 'lookup': {
        // Absence has an answer of its own.
        const path = joinPath(call.parent.path, call.name);
        return code !== 'not-found' && hasFailed('stat', path, sentMs);
      }
      case 'getattr':
      case 'open':
        if (call.kind === 'open' && call.wantsWrite) return code === 'read-only';
        if (code === 'limit') {
          return call.kind === 'open' && handleCount >= this.#options.handlesMax;
        }
        if (code === 'not-found') {
          this.judgeAbsent(call.known.path, sinceMs);
          return true;
        }
        if (code === 'stale' && this.#hasChanged(call.known.path, call.known.sinceMs)) return true;
        return hasFailed('stat', call.known.path, sentMs);
      case 'opendir':
        return code === 'limit' && handleCount >= this.#options.handlesMax;
      case 'read': {
        const { path } = call.handle.known;
        if (code === 'stale') return this.#hasChanged(path, call.handle.sinceMs);
        return hasFailed('fetch', path, sentMs);
      }
      case 'readdir':
        return hasFailed('list', call.handle.known.path, call.handle.stream.sinceMs);
      case 'lseek':
        // What the kernel reads without a handle is known by its name alone.
        if (code === 'stale' && this.#options.isImmutable) {
          return this.#hasChanged(call.handle.known.path, call.handle.sinceMs);
        }
        keepOnly(call.handle.versions, ({ lengthBytes }) => call.at >= lengthBytes);
        return code === 'no-data' && call.handle.versions.size > 0;
      case 'xattr':
        if (code === 'unsupported')
          return call.name.startsWith('system.') || hasFailed('locate', call.known.path, sentMs);
        if (code === 'range') return call.size > 0;
        if (code === 'no-attribute') {
          return call.name === 'user.other' || call.name.startsWith('user.alluxio.');
        }
        return hasFailed('locate', call.known.path, sentMs);
      default:
        throw new Error('A request of no known kind');
    }
  }

  /** Whether anything about the path could have made somebody believe that it changed. */
  #hasChanged(path: ByteString, sinceMs: number): boolean {
    const injectedMs = this.#cluster.injectedMs.get(path) ?? -Infinity;
    return Math.max(this.#world.lastChangeMs(path), injectedMs) >= sinceMs;
  }
}
