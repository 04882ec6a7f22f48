/** The measuring loops: workload.c, compiled once a run. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runCommand } from './children.ts';

export interface Measured {
  readonly seconds: number;
  readonly count: number;
  readonly bytes: number;
  /** Of a command and what it started. */
  readonly cpuSeconds: number;
  /** Of `beginnings`: what half of the files took at most. */
  readonly medianSeconds: number;
  /** Of `commandBeside`: what one of its questions took at most. */
  readonly slowestSeconds: number;
}

const COMPILE_MS = 60_000;
/** Above the longest loop; what is not done by then hangs. */
const WORKLOAD_MS = 900_000;
/** Kernel pages that may stay behind after an eviction: some are being written or locked. */
const EVICTION_LEFT_MAX = 0.01;

export class Workload {
  readonly #program: string;
  readonly #dir: string;
  #lists = 0;

  private constructor(program: string, dir: string) {
    this.#program = program;
    this.#dir = dir;
  }

  static async compile(source: string, dir: string): Promise<Workload> {
    const program = join(dir, 'workload');
    await runCommand('gcc', ['-O2', '-pthread', '-o', program, source], { timeoutMs: COMPILE_MS });
    return new Workload(program, dir);
  }

  async #run(...args: (string | number)[]): Promise<Measured> {
    const out = await runCommand(this.#program, args.map(String), { timeoutMs: WORKLOAD_MS });
    return JSON.parse(out) as Measured;
  }

  async #list(paths: readonly string[]): Promise<string> {
    const file = join(this.#dir, `list-${(this.#lists = (this.#lists + 1) % 8)}`);
    await writeFile(file, `${paths.join('\n')}\n`);
    return file;
  }

  async stat(paths: readonly string[], seconds: number): Promise<Measured> {
    return await this.#run('stat', await this.#list(paths), seconds);
  }

  /** Opens, reads and closes each. */
  async files(paths: readonly string[], threads: number, seconds: number): Promise<Measured> {
    return await this.#run('files', await this.#list(paths), threads, seconds);
  }

  async sequential(path: string): Promise<Measured> {
    return await this.#run('seq', path, 1024 * 1024);
  }

  /** Opens each and reads its first 4 KiB, one after the other. */
  async beginnings(paths: readonly string[]): Promise<Measured> {
    return await this.#run('first', await this.#list(paths));
  }

  /** Until a directory gives its first entry. */
  async firstEntry(directory: string): Promise<Measured> {
    return await this.#run('entry', directory);
  }

  /** Empty files. */
  async make(directory: string, count: number): Promise<Measured> {
    return await this.#run('make', directory, count);
  }

  /** 4 KiB each. */
  async random(
    path: string,
    options: { count: number; threads: number; seconds: number; seed: number },
  ): Promise<Measured> {
    const { count, threads, seconds, seed } = options;
    return await this.#run('random', path, count, threads, seconds, seed);
  }

  async command(command: string, ...args: string[]): Promise<Measured> {
    return await this.#run('run', command, ...args);
  }

  /** Runs the command, and asks for the attributes of `file` a thousand times a second until it ends. */
  async commandBeside(file: string, command: string, ...args: string[]): Promise<Measured> {
    return await this.#run('beside', file, command, ...args);
  }

  /** Drops what the kernel's page cache holds of these files, and of nothing else. */
  async evict(paths: readonly string[]): Promise<void> {
    const left = await this.drop(paths);
    if (left > EVICTION_LEFT_MAX) {
      throw new Error(`The kernel kept ${(left * 100).toFixed(0)} % of what should have gone`);
    }
  }

  /** The same where the kernel may keep them; gives the part that it kept. */
  async drop(paths: readonly string[]): Promise<number> {
    const { count: left, bytes } = await this.#run('evict', await this.#list(paths));
    return bytes === 0 ? 0 : left / (bytes / 4096);
  }
}
