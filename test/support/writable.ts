/** What mount tests that write share: flags, scripts, and the wait for what is still on its way. */
import { join } from 'node:path';
import type { TestMount } from './mount.ts';
import { repositoryRoot } from './repository.ts';
import { output, shell } from './run.ts';
import { waitFor } from './wait.ts';

export type WriteMode = 'through' | 'back';
export const WRITE_MODES: readonly WriteMode[] = ['through', 'back'];

/** Uploads of what a test leaves waiting, on a busy machine with two cores. */
const SETTLE_MS = 60_000;

export function writableFlags(stagingDir: string, mode: WriteMode): string[] {
  return ['--no-read-only', '--write-mode', mode, '--staging-dir', stagingDir];
}

/** The suites that run in each write mode run with and without a cache directory by it. */
export function hasDiskCache(mode: WriteMode): boolean {
  return mode === 'back';
}

export function mountScript(name: string): string {
  return join(repositoryRoot(), 'test', 'mount', 'scripts', name);
}

/** Runs a Python script of ours; throws with what it printed when it ends with an error. */
export async function python(
  script: string,
  args: readonly string[],
  timeoutMs: number,
): Promise<string> {
  return await output('python3', ['-B', script, ...args], { timeoutMs });
}

/** A number for a longer run by hand, or the one for every run. */
export function amount(variable: string, everyRun: number): number {
  const text = process.env[variable];
  if (text === undefined || text === '') return everyRun;
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value <= 0) throw new Error(`${variable} is not a number`);
  return value;
}

/** Bytes, types, modes and names below a directory, one line each; ours that are hidden left out. */
export async function treeSums(dir: string, parts: 'bytes' | 'everything'): Promise<string> {
  const attributes = parts === 'everything' ? '%y %m %U:%G %l ' : '%y ';
  return await shell(
    `cd "$1"
     find . -name '.alluxio-fuse*' -prune -o -printf '${attributes}%P\\n' | LC_ALL=C sort
     find . -name '.alluxio-fuse*' -prune -o -type f -print0 | LC_ALL=C sort -z | xargs -0 -r sha256sum`,
    [dir],
    { timeoutMs: SETTLE_MS },
  );
}

/** Waits until the under store holds below a directory what the mount shows there. */
export async function storedAs(
  mount: TestMount,
  mounted: string,
  stored: string,
): Promise<{ readonly mounted: string; readonly stored: string }> {
  // Links and pipes are not in the under store.
  const plain = (sums: string): string =>
    sums
      .split('\n')
      .filter((line) => !/^[lpsbc] /.test(line))
      .join('\n');
  // Both again each time: a rename that a crash cut short may still be under way.
  let shown = '';
  let last = '';
  await waitFor(
    `the under store to hold what ${mount.mountpoint} shows`,
    async () => {
      shown = plain(await treeSums(mounted, 'bytes'));
      last = plain(await treeSums(stored, 'bytes').catch(() => ''));
      return last === shown;
    },
    SETTLE_MS,
  ).catch(() => undefined);
  return { mounted: shown, stored: last };
}
