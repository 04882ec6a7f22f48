/** Kernel requests and jobs that wait: bounded in time, cancellable, answered exactly once. */
import { assert } from '../base/assert.ts';
import type { Clock } from '../base/clock.ts';
import type { Counters } from './counters.ts';
import type { CoreEffects, FsErrorCode, Job, JobId, JobResult, RequestId } from './types.ts';

interface PendingRequest {
  readonly deadlineMs: number;
  /** Takes the request out of whatever it waits for and answers it with the error. */
  readonly fail: (code: FsErrorCode) => void;
}

export class PendingRequests {
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #counters: Counters;
  readonly #requests = new Map<RequestId, PendingRequest>();
  /** Changes wait for their job alone, whose own deadline depends on how much there is to do. */
  readonly #untimed = new Map<RequestId, PendingRequest>();
  /** The last that stopped waiting, maybe to wait again. */
  #taken: { readonly request: RequestId; readonly deadlineMs: number } | undefined;

  constructor(clock: Clock, timeoutMs: number, counters: Counters) {
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
    this.#counters = counters;
  }

  get count(): number {
    return this.#requests.size + this.#untimed.size;
  }

  addUntimed(request: RequestId, fail: (code: FsErrorCode) => void): void {
    assert(!this.#untimed.has(request), 'A request waits twice');
    this.#untimed.set(request, { deadlineMs: Infinity, fail });
    this.#counters.set('requestsPending', this.count);
  }

  add(request: RequestId, fail: (code: FsErrorCode) => void): void {
    assert(!this.#requests.has(request), 'A request waits twice');
    // One that has waited for something else before has that much less time.
    const taken = this.#taken;
    const freshMs = this.#clock.nowMs() + this.#timeoutMs;
    const deadlineMs = taken?.request === request ? taken.deadlineMs : freshMs;
    this.#requests.set(request, { deadlineMs, fail });
    this.#counters.set('requestsPending', this.count);
  }

  /** To be called before the answer; false when the request was answered already. */
  take(request: RequestId): boolean {
    const timed = this.#requests.get(request);
    if (timed !== undefined) this.#taken = { request, deadlineMs: timed.deadlineMs };
    const had = this.#requests.delete(request) || this.#untimed.delete(request);
    this.#counters.set('requestsPending', this.count);
    return had;
  }

  /** False when no such request waits: it was answered before. */
  interrupt(request: RequestId): boolean {
    const pending = this.#requests.get(request) ?? this.#untimed.get(request);
    if (pending === undefined) return false;
    this.#counters.add('interrupts');
    pending.fail('interrupted');
    return true;
  }

  expire(): void {
    const nowMs = this.#clock.nowMs();
    for (const pending of this.#requests.values()) {
      if (pending.deadlineMs > nowMs) continue;
      this.#counters.add('timeouts');
      pending.fail('timeout');
    }
  }

  failAll(code: FsErrorCode): void {
    for (const pending of [...this.#requests.values(), ...this.#untimed.values()]) {
      pending.fail(code);
    }
  }
}

/** Why a job did not come to the result that was waited for. */
export function failureOf(result: JobResult): {
  readonly code: FsErrorCode;
  readonly reason: string;
} {
  if (result.kind === 'failed') return result;
  return { code: 'io', reason: `Unexpected ${result.kind}` };
}

/** Takes a result; true when it was the job's last. */
type JobHandler = (result: JobResult) => boolean;

export class Jobs {
  readonly #effects: CoreEffects;
  readonly #counters: Counters;
  readonly #handlers = new Map<JobId, JobHandler>();
  #lastId = 0;

  constructor(effects: CoreEffects, counters: Counters) {
    this.#effects = effects;
    this.#counters = counters;
  }

  get count(): number {
    return this.#handlers.size;
  }

  submit(build: (id: JobId) => Job, handler: JobHandler): void {
    const id = ++this.#lastId as JobId;
    this.#handlers.set(id, handler);
    this.#counters.set('jobsRunning', this.#handlers.size);
    this.#effects.submit(build(id));
  }

  deliver(result: JobResult): void {
    const handler = this.#handlers.get(result.id);
    assert(handler !== undefined, 'A result came for a job that has ended');
    if (!handler(result)) return;
    this.#handlers.delete(result.id);
    this.#counters.set('jobsRunning', this.#handlers.size);
  }
}
