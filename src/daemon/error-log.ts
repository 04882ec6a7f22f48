/** The last failures that users saw, with their reasons, for `status`; and in the log, limited. */
import { displayByteString } from '../base/byte-string.ts';
import type { LimitedLogger } from '../telemetry/index.ts';
import { NOT_SAVED } from '../vfs/index.ts';
import type { FailureReport, FsErrorCode } from '../vfs/index.ts';

export interface LastError {
  readonly atIso: string;
  readonly code: string;
  readonly path: string;
  readonly reason: string;
  readonly count: number;
}

/** A screenful; the log has the rest. */
const ERRORS_MAX = 32;

/** What a program may run into any day: the log has them only at debug level. */
const EXPECTED: ReadonlySet<FsErrorCode> = new Set([
  'interrupted',
  'name-too-long',
  'not-found',
  'stale',
]);

export class ErrorLog {
  readonly #logger: LimitedLogger;
  readonly #errors = new Map<string, LastError>();

  constructor(logger: LimitedLogger) {
    this.#logger = logger;
  }

  add(failure: FailureReport): void {
    const { code, reason } = failure;
    const path = displayByteString(failure.path);
    const isExpected = EXPECTED.has(code);
    const level = isExpected ? 'debug' : 'warn';
    this.#logger[level]({ code, path }, { code, path, reason }, 'Request failed');
    if (isExpected) return;
    const key = `${code} ${path}`;
    const count = (this.#errors.get(key)?.count ?? 0) + 1;
    this.#errors.delete(key);
    this.#errors.set(key, { atIso: new Date().toISOString(), code, path, reason, count });
    const oldest = this.#errors.keys().next().value;
    if (this.#errors.size > ERRORS_MAX && oldest !== undefined) this.#errors.delete(oldest);
  }

  /** Why a change of a program could not be saved, as it was last said. */
  lastUnsaved(): string | undefined {
    const found = this.list().find(({ reason }) => reason.startsWith(NOT_SAVED));
    return found === undefined ? undefined : `${found.path}: ${found.reason}`;
  }

  /** Newest first. */
  list(): LastError[] {
    return [...this.#errors.values()].toReversed();
  }
}
