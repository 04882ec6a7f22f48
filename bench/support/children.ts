/** Child processes of a bench: short commands with a deadline, and servers that are ended by pid. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { open } from 'node:fs/promises';

const STOP_MS = 15_000;
const SETPRIV = '/usr/bin/setpriv';
/** Enough of what a failing program says to know why. */
const OUTPUT_CHARS_MAX = 4000;

/** A certificate bundle or a region meant for somebody else's S3 would change what peers do. */
export function plainEnv(): NodeJS.ProcessEnv {
  const entries = Object.entries(process.env).filter(
    ([name]) => !/^(?:AWS_|RCLONE_|S3FS_|ALLUXIO_FUSE_)|_proxy$/i.test(name),
  );
  return { ...Object.fromEntries(entries), LC_ALL: 'C.UTF-8' };
}

export interface CommandOptions {
  readonly timeoutMs: number;
  readonly env?: NodeJS.ProcessEnv;
}

/** Standard output of a command that must end with 0. */
export async function runCommand(
  command: string,
  args: readonly string[],
  options: CommandOptions,
): Promise<string> {
  return await new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: options.env ?? plainEnv(),
    });
    let out = '';
    let errors = '';
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      child.kill('SIGKILL');
    }, options.timeoutMs);
    child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      errors = (errors + text).slice(-OUTPUT_CHARS_MAX);
    });
    child.once('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      if (code === 0) resolve(out);
      else {
        const how = isLate ? `not done in ${options.timeoutMs / 1000} s` : `${signal ?? code}`;
        reject(new Error(`${command} ${args[0] ?? ''}: ${how}: ${errors.trim()}`));
      }
    });
  });
}

export class Server {
  readonly pid: number;
  readonly #child: ChildProcess;
  readonly #logFile: string;
  readonly #ended: Promise<void>;

  private constructor(child: ChildProcess, logFile: string) {
    this.#child = child;
    this.#logFile = logFile;
    this.pid = child.pid ?? 0;
    this.#ended = new Promise((resolve) => {
      child.once('exit', () => resolve());
      child.once('error', () => resolve());
    });
  }

  /** It ends with us, however we end. */
  static async start(
    command: string,
    args: readonly string[],
    logFile: string,
    env = plainEnv(),
  ): Promise<Server> {
    const log = await open(logFile, 'a');
    const line = existsSync(SETPRIV)
      ? [SETPRIV, '--pdeathsig', 'KILL', command, ...args]
      : [command, ...args];
    const child = spawn(line[0] ?? '', line.slice(1), {
      stdio: ['ignore', log.fd, log.fd],
      env,
    });
    try {
      await new Promise<void>((resolve, reject) => {
        child.once('spawn', () => resolve());
        child.once('error', reject);
      });
    } finally {
      await log.close();
    }
    return new Server(child, logFile);
  }

  /** Throws when it has ended, with where it said why. */
  check(): void {
    const { exitCode, signalCode, spawnfile } = this.#child;
    if (exitCode !== null || signalCode !== null) {
      throw new Error(`${spawnfile} ended with ${signalCode ?? exitCode}: see ${this.#logFile}`);
    }
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), STOP_MS);
    this.#child.kill('SIGTERM');
    await this.#ended;
    clearTimeout(timer);
  }
}
