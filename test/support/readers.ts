/**
 * Programs that read a mount without a pause and compare every byte with the source, while a test
 * breaks something: python3 processes, since only a process of its own may hang.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { repositoryRoot } from './repository.ts';
import type { Cleanup } from './temp-dir.ts';
import { waitFor } from './wait.ts';

export interface ReaderError {
  readonly kind: 'error';
  readonly path: string;
  readonly errno: string;
  readonly op: string;
  readonly atMs: number;
  readonly tookMs: number;
}

interface WrongBytes {
  readonly kind: 'wrong';
  readonly path: string;
  readonly offset: number;
  readonly detail: string;
}

type Line =
  | ReaderError
  | WrongBytes
  | { readonly kind: 'reopened'; readonly path: string; readonly errno: string }
  | {
      readonly kind: 'tick';
      readonly files: number;
      readonly bytes: number;
      readonly slowestMs: number;
    };

export interface ReadersOptions {
  readonly count: number;
  readonly sourceDir: string;
  readonly mountedDir: string;
  /** Below both directories. */
  readonly files: readonly string[];
  readonly seed: number;
}

interface Reader {
  readonly child: ChildProcess;
  files: number;
  bytes: number;
  slowestMs: number;
  hasEnded: boolean;
}

/** After the end of their input: a read that is under way has the mount's own deadline. */
const END_MS = 60_000;
/** A reader that always fails says so a thousand times a second. */
const LINES_MAX = 100_000;

export class Readers {
  readonly #readers: Reader[] = [];
  readonly errors: ReaderError[] = [];
  readonly wrong: WrongBytes[] = [];
  readonly reopened: { readonly path: string; readonly errno: string }[] = [];
  #output = '';

  constructor(cleanup: Cleanup, options: ReadersOptions) {
    const script = join(repositoryRoot(), 'test/fault/scripts/verifying_reader.py');
    for (let number = 0; number < options.count; number++) {
      const seed = `${options.seed} ${number}`;
      const args = [script, options.sourceDir, options.mountedDir, seed, ...options.files];
      const child = spawn('python3', args, { cwd: '/', stdio: ['pipe', 'pipe', 'pipe'] });
      const reader: Reader = { child, files: 0, bytes: 0, slowestMs: 0, hasEnded: false };
      this.#readers.push(reader);
      createInterface({ input: child.stdout }).on('line', (line) => this.#take(reader, line));
      child.stderr.on('data', (chunk: Buffer) => {
        this.#output = (this.#output + chunk.toString('utf8')).slice(-4000);
      });
      child.stdin.on('error', () => undefined);
      child.once('error', (error) => {
        this.#output += error.message;
        reader.hasEnded = true;
      });
      child.once('exit', () => {
        reader.hasEnded = true;
      });
    }
    cleanup(async () => {
      for (const { child } of this.#readers) child.kill('SIGKILL');
      await waitFor('killed readers to end', () => this.#readers.every((r) => r.hasEnded), END_MS);
    });
  }

  #take(reader: Reader, text: string): void {
    const line = JSON.parse(text) as Line;
    if (line.kind === 'tick') {
      reader.files = line.files;
      reader.bytes = line.bytes;
      reader.slowestMs = line.slowestMs;
    } else if (line.kind === 'error' && this.errors.length < LINES_MAX) this.errors.push(line);
    else if (line.kind === 'wrong' && this.wrong.length < LINES_MAX) this.wrong.push(line);
    else if (line.kind === 'reopened' && this.reopened.length < LINES_MAX) this.reopened.push(line);
  }

  get bytes(): number {
    return this.#readers.reduce((sum, reader) => sum + reader.bytes, 0);
  }

  get files(): number {
    return this.#readers.reduce((sum, reader) => sum + reader.files, 0);
  }

  /** The longest that any single call of any reader took, failed or not. */
  get slowestMs(): number {
    return Math.max(...this.#readers.map((reader) => reader.slowestMs));
  }

  /** Resolves when every reader has read `files` files more: none hangs. */
  async progress(files: number, timeoutMs: number): Promise<void> {
    const goals = this.#readers.map((reader) => reader.files + files);
    const behind = (): string =>
      this.#readers.map((reader, i) => (goals[i] as number) - reader.files).join(', ');
    await waitFor(
      `${files} files more by every reader`,
      () => {
        this.#checkAlive();
        return this.#readers.every((reader, i) => reader.files >= (goals[i] as number));
      },
      timeoutMs,
    ).catch((error: unknown) => {
      throw new Error(`Readers lack ${behind()} files; ${this.describe()}`, { cause: error });
    });
  }

  /** Lets the readers go on until the condition holds. */
  async until(
    what: string,
    condition: () => Promise<boolean> | boolean,
    timeoutMs: number,
  ): Promise<void> {
    await waitFor(
      what,
      async () => {
        this.#checkAlive();
        return await condition();
      },
      timeoutMs,
    );
  }

  #checkAlive(): void {
    const gone = this.#readers.filter((reader) => reader.hasEnded).length;
    assert.equal(gone, 0, `${gone} readers have ended: ${this.#output}`);
  }

  describe(): string {
    const errors = this.errors.slice(0, 5).map((error) => JSON.stringify(error));
    const wrong = this.wrong.slice(0, 5).map((line) => JSON.stringify(line));
    return (
      `${this.files} files, ${this.bytes} bytes, slowest call ${Math.round(this.slowestMs)} ms, ` +
      `${this.errors.length} errors, ${this.wrong.length} wrong, ${this.reopened.length} reopened` +
      [...errors, ...wrong].map((line) => `\n${line}`).join('')
    );
  }

  assertNothingWrong(): void {
    assert.equal(this.wrong.length, 0, this.describe());
  }

  assertNoErrors(): void {
    this.assertNothingWrong();
    assert.equal(this.errors.length, 0, this.describe());
  }

  /** Ends them in an orderly way; rejects when one hangs. */
  async stop(): Promise<void> {
    this.#checkAlive();
    for (const { child } of this.#readers) child.stdin?.end();
    await waitFor('readers to end', () => this.#readers.every((r) => r.hasEnded), END_MS);
    for (const { child } of this.#readers) assert.equal(child.exitCode, 0, this.#output);
  }
}
