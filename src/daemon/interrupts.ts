/**
 * Signals that reach programs while they wait for an answer. EINTR would be seen by programs that never
 * expect it of files: a timer, a child that ends, a debugger or a stopped job would make rmdir(2) fail, and
 * the change may be made all the same. So a request is given up only where its program ends; where it is asked to
 * end, and only asks for something, once it has waited a moment longer than a healthy cluster takes.
 *
 * The kernel tells of the first signal only: who was interrupted once is looked at until its answer.
 */
import { readFileSync } from 'node:fs';
import type { FuseRequest } from '../fuse/wire/index.ts';
import type { RequestId } from '../vfs/index.ts';

const PATIENCE_MS = 1000;

/** Linux signal numbers, as bits of the masks in /proc/PID/status. */
function maskOf(...signals: number[]): bigint {
  return signals.reduce((mask, signal) => mask | (1n << BigInt(signal - 1)), 0n);
}
/** CHLD, CONT, STOP, TSTP, TTIN, TTOU, URG, WINCH end nothing. */
const HARMLESS = maskOf(17, 18, 19, 20, 21, 22, 23, 28);
/** HUP, INT, QUIT, TERM: whoever sends them wants the program to come to its end. */
const REQUESTS_TO_END = maskOf(1, 2, 3, 15);

/** They change nothing: whoever is told EINTR may ask again. */
const QUESTIONS: ReadonlySet<FuseRequest['op']> = new Set([
  'lookup',
  'getattr',
  'statx',
  'access',
  'readlink',
  'open',
  'read',
  'opendir',
  'readdir',
  'readdirplus',
  'getxattr',
  'listxattr',
  'lseek',
]);

export interface WaitingRequest {
  /** The thread that waits, as this process's name space has it; 0 where it is not in there. */
  readonly header: { readonly pid: number };
  readonly op: FuseRequest['op'];
  readonly startedMs: number;
}

export interface InterruptsParts {
  readonly find: (request: RequestId) => WaitingRequest | undefined;
  readonly giveUp: (request: RequestId) => void;
  readonly nowMs: () => number;
  /** The text of /proc/PID/status; throws where it cannot be read. */
  readonly statusOf?: (pid: number) => string;
}

export class Interrupts {
  readonly #parts: InterruptsParts;
  readonly #waiting = new Set<RequestId>();

  constructor(parts: InterruptsParts) {
    this.#parts = parts;
  }

  add(request: RequestId): void {
    if (!this.#isOver(request)) this.#waiting.add(request);
  }

  tick(): void {
    for (const request of this.#waiting) {
      if (this.#isOver(request)) this.#waiting.delete(request);
    }
  }

  /** Answered, or given up now. */
  #isOver(request: RequestId): boolean {
    const waiting = this.#parts.find(request);
    if (waiting === undefined) return true;
    if (!this.#wantsToEnd(waiting)) return false;
    this.#parts.giveUp(request);
    return true;
  }

  #wantsToEnd({ header, op, startedMs }: WaitingRequest): boolean {
    const mayAskAgain = QUESTIONS.has(op) && this.#parts.nowMs() - startedMs >= PATIENCE_MS;
    const pending = this.#pendingSignals(header.pid);
    if (pending === undefined) return mayAskAgain;
    const { unhandled, handled } = pending;
    return (unhandled & ~HARMLESS) !== 0n || (mayAskAgain && (handled & REQUESTS_TO_END) !== 0n);
  }

  /** Undefined where they cannot be told: a process of another name space, or one that is hidden. */
  #pendingSignals(
    pid: number,
  ): { readonly unhandled: bigint; readonly handled: bigint } | undefined {
    const { statusOf = readStatus } = this.#parts;
    try {
      const status = statusOf(pid);
      const pending =
        (maskIn(status, 'SigPnd') | maskIn(status, 'ShdPnd')) & ~maskIn(status, 'SigBlk');
      const caught = maskIn(status, 'SigCgt');
      return {
        unhandled: pending & ~caught & ~maskIn(status, 'SigIgn'),
        handled: pending & caught,
      };
    } catch {
      return undefined;
    }
  }
}

function readStatus(pid: number): string {
  return readFileSync(`/proc/${pid}/status`, 'latin1');
}

function maskIn(status: string, name: string): bigint {
  const digits = new RegExp(`^${name}:\\s*([0-9a-f]+)$`, 'm').exec(status)?.[1];
  if (digits === undefined) throw new Error(`No ${name} in the status of a process`);
  return BigInt(`0x${digits}`);
}
