import { resolve } from 'node:path';
import type { Command } from 'commander';
import { defaultStateDir, parseDuration, ValueError } from '../../config/index.ts';
import { EXIT_CODES, UsageError } from '../context.ts';
import type { CliContext, ExitCode } from '../context.ts';

/** Long enough for reads under way to meet their own deadline in a cluster that answers. */
const TIMEOUT_DEFAULT = '30s';

interface UmountFlags {
  readonly lazy?: boolean;
  readonly timeout: string;
  readonly stateDir?: string;
}

export function addUmountCommand(
  program: Command,
  context: CliContext,
  finish: (code: ExitCode) => void,
): void {
  program
    .command('umount')
    .alias('unmount')
    .summary('unmount and end the daemon')
    .description('Unmount MOUNTPOINT and wait until its daemon has ended.')
    .argument('<MOUNTPOINT>')
    .option(
      '-l, --lazy',
      'detach now, even if files are open; the daemon ends with the last of them',
    )
    .option('--timeout <DURATION>', 'how long to wait', TIMEOUT_DEFAULT)
    .option('--state-dir <PATH>', 'as given to mount')
    .action(async (mountpoint: string, flags: UmountFlags) => {
      const daemon = await context.loadDaemon();
      const outcome = await daemon.unmountDaemon(resolve(context.cwd, mountpoint), {
        lazy: flags.lazy === true,
        timeoutMs: timeoutMs(flags.timeout),
        stateDir: resolve(context.cwd, flags.stateDir ?? defaultStateDir(context)),
      });
      if (!outcome.ok) {
        context.err(`alluxio-fuse: could not unmount ${mountpoint}: ${outcome.reason}`);
      }
      finish(outcome.ok ? EXIT_CODES.ok : EXIT_CODES.failure);
    });
}

function timeoutMs(text: string): number {
  try {
    return parseDuration(text, { bareDurationUnit: 's' });
  } catch (error) {
    if (!(error instanceof ValueError)) throw error;
    throw new UsageError(`--timeout: "${text}" is not a duration such as 30s or 2min`);
  }
}
