/** `fs` commands that change names, or move bytes. */
import { fstatSync, type Stats } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { opendir, stat } from 'node:fs/promises';
import { Option, type Command } from 'commander';
import { enteredFrom } from '../base/link-circle.ts';
import type { TransferOptions } from '../client/index.ts';
import { EXIT_CODES, UsageError } from './context.ts';
import type { CliContext, ExitCode } from './context.ts';
import { sizeText } from './fs-print.ts';
import { onCluster, type Finish, type Session } from './fs-session.ts';
import { ProgressBar, type Amount } from './progress-bar.ts';

interface TransferFlags {
  readonly recursive?: boolean;
  readonly preserveTimes?: boolean;
  readonly resume?: boolean;
  readonly targetDirectory?: boolean;
  readonly concurrency?: string;
}

interface Tally {
  files: number;
  skipped: number;
  /** Left out: this machine cannot read them. */
  failed: number;
  bytes: number;
}

export function addChangeCommands(group: Command, context: CliContext, finish: Finish): void {
  const mkdir = group
    .command('mkdir')
    .summary('make directories')
    .argument('<paths...>')
    .option('-p, --parents', 'missing parents as well; one that is there is fine');
  onCluster(mkdir, context, finish, (session, paths) => {
    const { fs, signal } = session;
    const parents = mkdir.opts<{ parents?: boolean }>().parents === true;
    return session.each(paths, (path) => fs.mkdir(path, { parents, signal }));
  });

  const rm = group
    .command('rm')
    .summary('remove files and directories')
    .argument('<paths...>')
    .option('-r, --recursive', 'directories with all that is in them')
    .addOption(alluxioRecursive())
    .option('--alluxio-only', 'forget it, and leave it in the under store (Enterprise)')
    .option('--delete-mount-point', 'also mount points (Enterprise)')
    .option('--sync-parent-next-time', 'look at the parent again the next time (Enterprise)');
  onCluster(rm, context, finish, (session, paths) => {
    const { fs, signal } = session;
    const flags = rm.opts<Record<string, boolean | undefined>>();
    const { recursive, alluxioOnly: removeAlluxioOnly } = flags;
    const { deleteMountPoint, syncParentNextTime } = flags;
    const options = { recursive, removeAlluxioOnly, deleteMountPoint, syncParentNextTime, signal };
    return session.each(paths, (path) => fs.rm(path, options));
  });

  const touch = group
    .command('touch')
    .summary('make an empty file, or set the time of one that is there')
    .argument('<paths...>')
    .option('--truncate', 'and empty it');
  onCluster(touch, context, finish, (session, paths) => {
    const { fs, signal } = session;
    const truncate = touch.opts<{ truncate?: boolean }>().truncate === true;
    return session.each(paths, (path) => fs.touch(path, { truncate, signal }));
  });

  const mv = group
    .command('mv')
    .summary('move or rename; into the target where that is a directory')
    .argument('<source>')
    .argument('<target>')
    .option('-T, --no-target-directory', 'to this very name')
    .addHelpText('after', '\nA directory that was killed half way is moved by the same command.');
  onCluster(mv, context, finish, async (session, [source = '', target = '']) => {
    const { fs, signal } = session;
    await fs.mv(source, await into(session, source, target, mv.opts()), { signal });
    return undefined;
  });

  const write = group.command('write').summary('make a file of standard input').argument('<path>');
  onCluster(write, context, finish, async (session, [path = '']) => {
    const { signal } = session;
    const info = await session.fs.write(path, process.stdin, { signal });
    if (session.json) session.print(info, () => []);
    return undefined;
  });

  const cp = transferCommand(group, 'cp')
    .summary('copy within the cluster, or from or to this machine with local:PATH')
    .argument('<source>')
    .argument('<target>');
  onCluster(cp, context, finish, async (session, [source = '', target = '']) => {
    const flags = cp.opts<TransferFlags>();
    const [from, to] = [localOf(source), localOf(target)];
    if (from !== undefined && to !== undefined) throw new UsageError('Both are local: use cp(1)');
    if (from !== undefined) return upload(session, from, target, flags);
    if (to !== undefined) return download(session, source, to, flags);
    const amount = () => amountOfPath(session, source);
    return withProgress(session, flags, amount, async (options) => {
      const at = await into(session, source, target, flags);
      await session.fs.copy(source, at, options);
    });
  });

  const up = transferCommand(group, 'upload')
    .summary('copy from this machine')
    .argument('<local>')
    .argument('<target>');
  onCluster(up, context, finish, (session, [local = '', target = '']) =>
    upload(session, local, target, up.opts()),
  );

  const down = transferCommand(group, 'download')
    .summary('copy to this machine')
    .argument('<source>')
    .argument('<local>');
  onCluster(down, context, finish, (session, [source = '', local = '']) =>
    download(session, source, local, down.opts()),
  );
}

function transferCommand(group: Command, name: string): Command {
  return group
    .command(name)
    .option('-r, --recursive', 'directories with all that is in them')
    .addOption(alluxioRecursive())
    .option('-T, --no-target-directory', 'to this very name')
    .option('--resume', 'leave alone what has the length and time of its source already')
    .option('--no-preserve-times', 'files get the time at which they are written')
    .option('--concurrency <NUMBER>', 'files at a time', '8')
    .addHelpText(
      'after',
      '\nA file is there as a whole or not at all. What was interrupted is completed by the same ' +
        'command\nwith --resume (and -T, where the first run made the target).',
    );
}

/** As Alluxio's own commands spell it. */
function alluxioRecursive(): Option {
  return new Option('-R').hideHelp().implies({ recursive: true });
}

function localOf(path: string): string | undefined {
  return path.startsWith('local:') ? path.slice('local:'.length) : undefined;
}

/** As cp(1): a directory that is there is where it goes into. */
async function into(
  { fs, signal }: Session,
  source: string,
  target: string,
  flags: TransferFlags,
): Promise<string> {
  if (flags.targetDirectory === false) return target;
  // What a killed command has made of the target is not what is asked for.
  await fs.recover({ signal });
  const asked = await fs.isdir(target, { signal });
  return asked ? `${target.replace(/\/+$/, '')}/${basename(source)}` : target;
}

function upload(session: Session, local: string, target: string, flags: TransferFlags) {
  const from = resolve(session.context.cwd, local);
  const amount = () => amountOfLocal(from);
  return withProgress(session, flags, amount, async (options) => {
    await session.fs.upload(from, await into(session, from, target, flags), options);
  });
}

async function download(session: Session, source: string, local: string, flags: TransferFlags) {
  const to = resolve(session.context.cwd, local);
  const found = await stat(to).catch(() => undefined);
  const isDirectory = found?.isDirectory() === true;
  const isInto = isDirectory && flags.targetDirectory !== false;
  // That it can only be a directory is for the library to say.
  const named = local.endsWith('/') ? `${to}/` : to;
  const at = isInto ? join(to, basename(source)) : named;
  const amount = () => amountOfPath(session, source);
  const work = (options: TransferOptions) => session.fs.download(source, at, options);
  return withProgress(session, flags, amount, work, !isStandardOutput(found));
}

/** What is printed would be among the bytes. */
function isStandardOutput(found: Stats | undefined): boolean {
  const { dev, ino } = fstatSync(1);
  return found?.dev === dev && found.ino === ino;
}

async function amountOfPath({ fs, signal }: Session, path: string): Promise<Amount> {
  const { files, size: bytes } = await fs.du(path, { signal });
  return { files, bytes };
}

/** Of what can be read. `above`: the directories that this one lies in; a link to one of them ends here. */
async function amountOfLocal(path: string, above: readonly string[] = []): Promise<Amount> {
  const nothing = { files: 0, bytes: 0 };
  const found = await stat(path, { bigint: true }).catch(() => undefined);
  if (found === undefined) return nothing;
  if (!found.isDirectory()) return { files: 1, bytes: Number(found.size) };
  const entered = enteredFrom(above, found);
  if (entered === undefined) return nothing;
  const directory = await opendir(path).catch(() => undefined);
  if (directory === undefined) return nothing;
  let [files, bytes] = [0, 0];
  for await (const entry of directory) {
    const below = await amountOfLocal(join(path, entry.name), entered);
    files += below.files;
    bytes += below.bytes;
  }
  return { files, bytes };
}

async function withProgress(
  session: Session,
  flags: TransferFlags,
  amount: () => Promise<Amount>,
  work: (options: TransferOptions) => Promise<void>,
  saysWhatWasDone = true,
): Promise<ExitCode> {
  const concurrency = Number(flags.concurrency);
  if (!Number.isInteger(concurrency) || concurrency < 1 || concurrency > 256) {
    throw new UsageError(`--concurrency: "${flags.concurrency}" is not a number from 1 to 256`);
  }
  const tally: Tally = { files: 0, skipped: 0, failed: 0, bytes: 0 };
  /** What was there already counts for the bar: it is a part of the whole. */
  let skippedBytes = 0;
  const bar = ProgressBar.begin(!session.json, amount);
  try {
    await work({
      signal: session.signal,
      recursive: flags.recursive,
      resume: flags.resume,
      preserveTimes: flags.preserveTimes,
      concurrency,
      onFile(_path, size, outcome) {
        if (outcome === 'skipped') {
          tally.skipped += 1;
          skippedBytes += size;
        } else {
          tally.files += 1;
          tally.bytes += size;
        }
        bar?.set(tally.files + tally.skipped, tally.bytes + skippedBytes);
      },
      onError(error) {
        tally.failed += 1;
        session.failed(error);
      },
    });
  } finally {
    bar?.end();
  }
  if (saysWhatWasDone) printTally(session, tally);
  return tally.failed === 0 ? EXIT_CODES.ok : EXIT_CODES.failure;
}

function printTally(session: Session, tally: Tally): void {
  session.print(
    tally,
    () =>
      `${tally.files} files, ${sizeText(tally.bytes, true)}, ${tally.skipped} there already` +
      (tally.failed === 0 ? '' : `, ${tally.failed} left out`),
  );
}
