import { resolve } from 'node:path';
import type { Command } from 'commander';
import { defaultStateDir, parseDuration, ValueError } from '../../config/index.ts';
import { EXIT_CODES, UsageError } from '../context.ts';
import type { CliContext, ExitCode } from '../context.ts';
import type { StatusWrites } from '../daemon-api.ts';
import { savingText } from '../write-text.ts';

/** Long enough for reads under way to meet their own deadline in a cluster that answers. */
const TIMEOUT_DEFAULT = '30s';
/** What is over sooner needs no progress. */
const SILENT_MS = 1000;
/** In a log, a line every so often is enough. */
const LINE_MS = 5000;

const MORE = `
A writable mount is asked to save first, and stays until the cluster has everything; Ctrl-C leaves it
in place. What --write-mode back has acknowledged is in the journal: --force leaves it there, and the
next mount of the same MOUNTPOINT and --staging-dir brings it to the cluster. Changes that not even
the journal has are only given up with --force --drop-unsaved.`;

interface UmountFlags {
  readonly lazy?: boolean;
  readonly force?: boolean;
  readonly dropUnsaved?: boolean;
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
    .summary('save, unmount and end the daemon')
    .description(
      'Unmount MOUNTPOINT once everything is saved, and wait until its daemon has ended.',
    )
    .argument('<MOUNTPOINT>')
    .option(
      '-l, --lazy',
      'detach now, even if files are open; the daemon ends with the last of them, and saves until then',
    )
    .option(
      '--force',
      'do not wait for saving or for programs; refused where changes would be lost',
    )
    .option('--drop-unsaved', 'with --force: give up changes that neither cluster nor journal has')
    .option('--timeout <DURATION>', 'how long to wait while nothing gets on', TIMEOUT_DEFAULT)
    .option('--state-dir <PATH>', 'as given to mount')
    .addHelpText('after', MORE)
    .action(async (mountpoint: string, flags: UmountFlags) => {
      const [lazy, force] = [flags.lazy === true, flags.force === true];
      const dropUnsaved = flags.dropUnsaved === true;
      if (lazy && force) throw new UsageError('--lazy and --force exclude each other');
      if (dropUnsaved && !force) throw new UsageError('--drop-unsaved needs --force');
      const waitMs = timeoutMs(flags.timeout);
      const daemon = await context.loadDaemon();
      const interrupt = new AbortController();
      void context.untilStopped().then(() => interrupt.abort());
      const progress = new Progress(context);
      const outcome = await daemon.unmountDaemon(resolve(context.cwd, mountpoint), {
        lazy,
        force,
        dropUnsaved,
        timeoutMs: waitMs,
        stateDir: resolve(context.cwd, flags.stateDir ?? defaultStateDir(context)),
        signal: interrupt.signal,
        onProgress: (writes) => progress.show(writes),
      });
      progress.end();
      if (!outcome.ok) {
        context.err(`alluxio-fuse: could not unmount ${mountpoint}: ${outcome.reason}`);
      } else {
        for (const note of outcome.notes ?? []) context.err(`alluxio-fuse: ${note}`);
      }
      finish(outcome.ok ? EXIT_CODES.ok : EXIT_CODES.failure);
    });
}

/** On a terminal one line that changes; otherwise a line now and then. */
class Progress {
  readonly #context: CliContext;
  readonly #startedMs = performance.now();
  #shownMs = -Infinity;
  #hasLine = false;

  constructor(context: CliContext) {
    this.#context = context;
  }

  show(writes: StatusWrites): void {
    const { isTerminal, overwrite, err } = this.#context;
    const nowMs = performance.now();
    if (nowMs - this.#startedMs < SILENT_MS) return;
    if (isTerminal) {
      this.#hasLine = true;
      overwrite(savingText(writes));
    } else if (nowMs - this.#shownMs >= LINE_MS) {
      this.#shownMs = nowMs;
      err(`alluxio-fuse: ${savingText(writes)}`);
    }
  }

  end(): void {
    if (this.#hasLine) this.#context.overwrite('');
  }
}

function timeoutMs(text: string): number {
  try {
    return parseDuration(text, { bareDurationUnit: 's' });
  } catch (error) {
    if (!(error instanceof ValueError)) throw error;
    throw new UsageError(`--timeout: "${text}" is not a duration such as 30s or 2min`);
  }
}
