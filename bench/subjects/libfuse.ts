/** The C baseline of bench/peers/libfuse.c over the directory of the data set. */
import { join } from 'node:path';
import { repositoryRoot } from '../../test/support/repository.ts';
import { runCommand } from '../support/children.ts';
import { findProgram } from '../support/programs.ts';
import type { Peer } from './peers.ts';
import { ServerMount } from './server-mount.ts';

const COMPILE_MS = 60_000;

export async function libfuse(folder: string, workDir: string): Promise<Peer> {
  if (findProgram('pkg-config') === undefined) return 'pkg-config is not installed';
  const ask = async (...args: string[]): Promise<string> =>
    (await runCommand('pkg-config', [...args, 'fuse3'], { timeoutMs: COMPILE_MS })).trim();
  const version = await ask('--modversion').catch(() => undefined);
  if (version === undefined) return 'the headers of libfuse 3 are not installed';
  const flags = (await ask('--cflags', '--libs')).split(/\s+/);
  const program = join(workDir, 'libfuse-server');
  const source = join(repositoryRoot(), 'bench', 'peers', 'libfuse.c');
  await runCommand('gcc', ['-O2', '-pthread', '-o', program, source, ...flags], {
    timeoutMs: COMPILE_MS,
  });
  const mountpoint = join(workDir, 'libfuse');
  return new ServerMount({
    id: 'libfuse',
    title: 'C, libfuse',
    detail: `libfuse ${version}, low-level, multi-threaded, over the local directory (bench/peers/libfuse.c)`,
    mountpoint,
    folder: '.',
    hasServerCache: false,
    logFile: join(workDir, 'libfuse.log'),
    command: [program, folder, mountpoint],
  });
}
