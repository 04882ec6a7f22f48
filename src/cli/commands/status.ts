import { resolve } from 'node:path';
import type { Command } from 'commander';
import { defaultStateDir } from '../../config/index.ts';
import { EXIT_CODES } from '../context.ts';
import type { CliContext, ExitCode } from '../context.ts';
import { statusText } from '../status-text.ts';

interface StatusFlags {
  readonly json?: boolean;
  readonly stateDir?: string;
}

export function addStatusCommand(
  program: Command,
  context: CliContext,
  finish: (code: ExitCode) => void,
): void {
  program
    .command('status')
    .summary('show mounts, their cluster, cache and last errors')
    .description('Show the mount at MOUNTPOINT, or all mounts of this user.')
    .argument('[MOUNTPOINT]')
    .option('--json', 'as JSON: an object for one MOUNTPOINT, a list without')
    .option('--state-dir <PATH>', 'as given to mount')
    .action(async (mountpoint: string | undefined, flags: StatusFlags) => {
      const path = mountpoint === undefined ? undefined : resolve(context.cwd, mountpoint);
      const stateDir = resolve(context.cwd, flags.stateDir ?? defaultStateDir(context));
      const daemon = await context.loadDaemon();
      const reports = await daemon.daemonStatus(path, { stateDir });
      if (path !== undefined && reports.length === 0) {
        throw new Error(`${path} is not mounted by alluxio-fuse`);
      }
      if (flags.json === true) {
        context.out(JSON.stringify(path === undefined ? reports : reports[0], undefined, 2));
      } else if (reports.length === 0) {
        context.out('No mounts');
      } else {
        context.out(reports.map(statusText).join('\n\n'));
      }
      finish(EXIT_CODES.ok);
    });
}
