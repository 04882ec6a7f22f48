import type { Clock } from '../base/clock.ts';
import type { HealthReport } from './http-server.ts';

/**
 * Whether something that counts its turns still does. It is looked at only when somebody asks: a
 * standstill is seen by the second question that comes `maxAgeMs` or more after the last change
 * was, which is how probes ask anyway, and an idle mount is not woken up for it.
 */
export class HeartbeatWatch {
  readonly #read: () => number;
  readonly #clock: Clock;
  readonly #maxAgeMs: number;
  #lastValue: number;
  #changedAtMs: number;

  constructor(options: { read: () => number; clock: Clock; maxAgeMs: number }) {
    this.#read = options.read;
    this.#clock = options.clock;
    this.#maxAgeMs = options.maxAgeMs;
    this.#lastValue = options.read();
    this.#changedAtMs = options.clock.nowMs();
  }

  report(): HealthReport {
    const now = this.#clock.nowMs();
    const value = this.#read();
    if (value !== this.#lastValue) {
      this.#lastValue = value;
      this.#changedAtMs = now;
    }
    const ageMs = now - this.#changedAtMs;
    return { ok: ageMs < this.#maxAgeMs, detail: { heartbeatAgeMs: Math.round(ageMs) } };
  }
}
