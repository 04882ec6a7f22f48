/** Child processes that touch a mount for a test. Each has a deadline: a mount may hang. */
import { spawn } from 'node:child_process';

export interface RunOptions {
  readonly timeoutMs?: number;
  readonly cwd?: string;
  readonly input?: string | Buffer;
  readonly env?: Readonly<Record<string, string>>;
  readonly uid?: number;
  readonly gid?: number;
}

export interface Finished {
  /** -1 when a signal ended it. */
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Well over what any single step needs on a busy machine with two cores. */
const TIMEOUT_MS = 120_000;
/** A test compares what programs say; what is longer than this is a mistake in the test. */
const OUTPUT_BYTES_MAX = 64 * 1024 * 1024;

/** Never throws for an exit code; throws when the program cannot be started or hangs. */
export async function run(
  program: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<Finished> {
  const timeoutMs = options.timeoutMs ?? TIMEOUT_MS;
  return await new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      stdio: ['pipe', 'pipe', 'pipe'],
      cwd: options.cwd ?? '/',
      env: { ...process.env, LC_ALL: 'C.UTF-8', ...options.env },
      ...(options.uid === undefined ? {} : { uid: options.uid }),
      ...(options.gid === undefined ? {} : { gid: options.gid }),
    });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    let length = 0;
    const what = `${program} ${args.join(' ').slice(0, 300)}`;
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      // One that hangs in the kernel does not die, and is not waited for.
      child.unref();
      child.stdout.destroy();
      child.stderr.destroy();
      reject(new Error(`No end within ${timeoutMs / 1000} s: ${what}\n${text(err)}`));
    }, timeoutMs);
    const take = (into: Buffer[]) => (chunk: Buffer) => {
      length += chunk.length;
      if (length <= OUTPUT_BYTES_MAX) into.push(chunk);
    };
    child.stdout.on('data', take(out));
    child.stderr.on('data', take(err));
    // A program that ends without reading its input is judged by its exit code.
    child.stdin.on('error', () => undefined);
    child.stdin.end(options.input ?? '');
    child.once('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    child.once('close', (code) => {
      clearTimeout(timer);
      if (length > OUTPUT_BYTES_MAX) reject(new Error(`Too much output: ${what}`));
      else resolve({ code: code ?? -1, out: text(out), err: text(err) });
    });
  });
}

/** Output of a program that must succeed. */
export async function output(
  program: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<string> {
  const { code, out, err } = await run(program, args, options);
  if (code !== 0) {
    const what = `${program} ${args.join(' ').slice(0, 300)}`;
    throw new Error(`Exit code ${code}: ${what}\n${err.slice(0, 4000)}\n${out.slice(0, 4000)}`);
  }
  return out;
}

/** A shell script with `"$1"`, `"$2"`, … that must succeed in every part of its pipes. */
export async function shell(
  script: string,
  args: readonly string[] = [],
  options: RunOptions = {},
): Promise<string> {
  return await output('bash', ['-eo', 'pipefail', '-c', script, 'bash', ...args], options);
}

function text(chunks: readonly Buffer[]): string {
  return Buffer.concat(chunks).toString('utf8');
}
