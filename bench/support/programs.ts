/** Finds the programs of peers: on the path, or where `bin/bench --install` and Go put them. */
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { runCommand } from './children.ts';

/** Outside of the repository: kept between runs and clones. */
export function benchCacheDir(): string {
  return join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'alluxio-fuse-bench');
}

export function findProgram(name: string): string | undefined {
  const dirs = [
    // First: what was installed for the bench is newer than what a distribution has.
    join(benchCacheDir(), 'bin'),
    ...(process.env['PATH'] ?? '').split(delimiter),
    process.env['GOBIN'] ?? '',
    join(process.env['GOPATH'] ?? join(homedir(), 'go'), 'bin'),
  ];
  return dirs
    .filter((dir) => dir !== '')
    .map((dir) => join(dir, name))
    .find((path) => existsSync(path));
}

/** First line of what it says about itself. */
export async function versionOf(program: string, ...args: string[]): Promise<string> {
  try {
    const text = await runCommand(program, args, { timeoutMs: 15_000 });
    return text.trim().split('\n')[0] ?? '';
  } catch {
    return 'version unknown';
  }
}
