import type { Clock } from '../base/clock.ts';
import type { LogFields, Logger } from '../base/logger.ts';

/** What makes two lines "the same thing said again". */
export interface LogKey {
  /** Error code or name of the event. */
  readonly code: string;
  /** Path, worker or whatever else it is about; '' where there is nothing. */
  readonly path: string;
}

export interface LimitedLoggerOptions {
  readonly logger: Logger;
  readonly clock: Clock;
  /** Told of every line left out. */
  readonly onSuppressed?: () => void;
  /** The same code and path once in this time: a program that retries every second says it six times a minute. */
  readonly intervalMs?: number;
  /** Lines of one code in the interval, whatever the path: `find` over a broken tree stays readable. */
  readonly linesPerCodeMax?: number;
  /** Keys remembered; at some 200 bytes a key this is under 1 MB. */
  readonly keysMax?: number;
}

interface Memory {
  sinceMs: number;
  suppressed: number;
}

interface CodeWindow {
  sinceMs: number;
  lines: number;
}

/** Codes are few and fixed; the bound is for the caller that makes them up. */
const CODES_MAX = 256;

/**
 * A logger for things that happen once a request. Says the first of a kind at once, then holds its
 * tongue, and says with the next line how many were left out (`suppressed`).
 */
export class LimitedLogger {
  readonly #logger: Logger;
  readonly #clock: Clock;
  readonly #onSuppressed: () => void;

  readonly #intervalMs: number;
  readonly #linesPerCodeMax: number;
  readonly #keysMax: number;

  /** Oldest first: a Map keeps the order of insertion. */
  readonly #keys = new Map<string, Memory>();
  readonly #codes = new Map<string, CodeWindow>();

  constructor(options: LimitedLoggerOptions) {
    this.#logger = options.logger;
    this.#clock = options.clock;
    this.#onSuppressed = options.onSuppressed ?? (() => undefined);
    this.#intervalMs = options.intervalMs ?? 10_000;
    this.#linesPerCodeMax = options.linesPerCodeMax ?? 20;
    this.#keysMax = options.keysMax ?? 4096;
  }

  debug(key: LogKey, fields: LogFields, message: string): void {
    this.#say('debug', key, fields, message);
  }

  info(key: LogKey, fields: LogFields, message: string): void {
    this.#say('info', key, fields, message);
  }

  warn(key: LogKey, fields: LogFields, message: string): void {
    this.#say('warn', key, fields, message);
  }

  error(key: LogKey, fields: LogFields, message: string): void {
    this.#say('error', key, fields, message);
  }

  #say(level: keyof Logger, key: LogKey, fields: LogFields, message: string): void {
    const now = this.#clock.nowMs();
    const id = `${key.code}\0${key.path}`;
    const memory = this.#keys.get(id);
    if (
      (memory !== undefined && now - memory.sinceMs < this.#intervalMs) ||
      !this.#admitCode(key.code, now)
    ) {
      if (memory === undefined) this.#remember(id, { sinceMs: -Infinity, suppressed: 1 });
      else memory.suppressed++;
      this.#onSuppressed();
      return;
    }
    const suppressed = memory?.suppressed ?? 0;
    this.#keys.delete(id);
    this.#remember(id, { sinceMs: now, suppressed: 0 });
    const about = key.path === '' ? {} : { path: key.path };
    const extra = suppressed === 0 ? {} : { suppressed };
    this.#logger[level]({ code: key.code, ...about, ...fields, ...extra }, message);
  }

  #admitCode(code: string, now: number): boolean {
    let window = this.#codes.get(code);
    if (window === undefined || now - window.sinceMs >= this.#intervalMs) {
      this.#codes.delete(code);
      window = { sinceMs: now, lines: 0 };
      this.#codes.set(code, window);
      dropOldest(this.#codes, CODES_MAX);
    }
    if (window.lines >= this.#linesPerCodeMax) return false;
    window.lines++;
    return true;
  }

  #remember(id: string, memory: Memory): void {
    this.#keys.set(id, memory);
    dropOldest(this.#keys, this.#keysMax);
  }
}

function dropOldest(map: Map<string, unknown>, max: number): void {
  if (map.size <= max) return;
  const oldest = map.keys().next();
  if (oldest.done !== true) map.delete(oldest.value);
}
