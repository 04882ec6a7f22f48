/** `alluxio-fuse cache …` and `alluxio-fuse warmup`: what the cache directories hold. */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { alignColumns, defaultStateDir } from '../../config/index.ts';
import { EXIT_CODES, UsageError } from '../context.ts';
import type { CliContext, ExitCode } from '../context.ts';
import type { CacheCommand, CacheLine, DaemonApi, StatusDiskCache } from '../daemon-api.ts';
import { bytesText, count, plural, printable } from '../words.ts';

type Finish = (code: ExitCode) => void;

interface CacheFlags {
  readonly json?: boolean;
  readonly stateDir?: string;
  readonly all?: boolean;
  readonly parallel?: string;
  readonly list?: string;
}

const TARGET_HELP = `
TARGET is a mount point, or a cache directory: of a mount that is there, its daemon is asked; where
there is none, the directory is looked at itself. PATHs are paths of the name space, or below the
mount point; a directory means all that is in it.
Exit codes: 0 ok, 1 failure (verify: something was not as it was written; warm: a file could not be
fetched), 2 wrong usage, 130 stopped.`;
const PARALLEL_MAX = 64;
/** Of one request to the daemon. */
const PATHS_MAX = 1000;

export function addCacheCommands(program: Command, context: CliContext, finish: Finish): void {
  const group = program
    .command('cache')
    .summary('look at, check, fill or empty cache directories')
    .description('The cache directories of mounts (--cache-dir).')
    .addHelpText('after', TARGET_HELP);
  const add = (verb: CacheCommand['verb'], summary: string): Command =>
    group
      .command(verb)
      .summary(summary)
      .description(`${summary[0]?.toUpperCase()}${summary.slice(1)}.`)
      .argument('<TARGET>')
      .argument('[PATH...]')
      .option('--json', 'as JSON: an object a line')
      .option('--state-dir <PATH>', 'as given to mount')
      .addHelpText('after', TARGET_HELP);
  const act =
    (verb: CacheCommand['verb']) => async (target: string, paths: string[], flags: CacheFlags) => {
      if (verb === 'drop' && (paths.length === 0) !== (flags.all === true)) {
        throw new UsageError('Give the paths to drop, or --all');
      }
      const path = resolve(context.cwd, target);
      const parallel = parallelOf(flags);
      const command = {
        verb,
        target: path,
        paths,
        ...(parallel === undefined ? {} : { parallel }),
      };
      finish(await new CacheRun(context, flags).run([command]));
    };
  add('ls', 'list what is cached: bytes, part or all, path').action(act('ls'));
  add('stat', 'show sizes, limits and figures').action(act('stat'));
  add('verify', 'read what is cached, and remove what is not as it was written').action(
    act('verify'),
  );
  add('drop', 'remove what is cached of paths, or all of it')
    .option('--all', 'all that is cached')
    .action(act('drop'));
  add('warm', 'fetch files into the cache; needs the mount')
    .option('--parallel <NUMBER>', 'files at a time', '8')
    .action(act('warm'));
}

export function addWarmupCommand(program: Command, context: CliContext, finish: Finish): void {
  program
    .command('warmup')
    .summary('fetch files of mounts into their cache directories')
    .description(
      'Fetches files, and all that is in directories, into the cache directories of the mount that ' +
        'they lie in. The daemon of the mount does it; it needs --cache-dir. What is cached already is not fetched again.',
    )
    .argument('[PATH...]', 'below mount points')
    .option('--list <FILE>', 'a file with more paths, one a line')
    .option('--parallel <NUMBER>', 'files at a time', '8')
    .option('--json', 'as JSON: an object a line, progress among them')
    .option('--state-dir <PATH>', 'as given to mount')
    .action(async (given: string[], flags: CacheFlags) => {
      const listed = flags.list === undefined ? [] : linesOf(context, flags.list);
      const paths = [...given, ...listed].map((path) => resolve(context.cwd, path));
      if (paths.length === 0) throw new UsageError('Give a path, or a --list that names one');
      const run = new CacheRun(context, flags);
      finish(await run.run(await run.warmCommands(paths)));
    });
}

function linesOf(context: CliContext, file: string): string[] {
  try {
    const text = context.readText(resolve(context.cwd, file));
    return text.split('\n').filter((line) => line !== '');
  } catch (error) {
    throw new UsageError(`--list cannot be read: ${(error as Error).message}`);
  }
}

function parallelOf({ parallel }: CacheFlags): number | undefined {
  if (parallel === undefined) return undefined;
  const value = Number(parallel);
  if (!Number.isInteger(value) || value < 1 || value > PARALLEL_MAX) {
    throw new UsageError(`--parallel is a number from 1 to ${PARALLEL_MAX}`);
  }
  return value;
}

class CacheRun {
  readonly #context: CliContext;
  readonly #flags: CacheFlags;
  readonly #stateDir: string;
  #isWrong = false;

  constructor(context: CliContext, flags: CacheFlags) {
    this.#context = context;
    this.#flags = flags;
    this.#stateDir = resolve(context.cwd, flags.stateDir ?? defaultStateDir(context));
  }

  /** One for each mount, in parts that are not too long. */
  async warmCommands(paths: readonly string[]): Promise<CacheCommand[]> {
    const daemon = await this.#context.loadDaemon();
    const byMount = new Map<string, string[]>();
    for (const path of paths) {
      const target = daemon.mountpointAbove(path, { stateDir: this.#stateDir });
      if (target === undefined) throw new Error(`${path} lies in no mount of alluxio-fuse`);
      byMount.set(target, [...(byMount.get(target) ?? []), path]);
    }
    const parallel = parallelOf(this.#flags);
    const commands: CacheCommand[] = [];
    for (const [target, all] of byMount) {
      for (let first = 0; first < all.length; first += PATHS_MAX) {
        const part = all.slice(first, first + PATHS_MAX);
        const command = { verb: 'warm', target, paths: part } as const;
        commands.push(parallel === undefined ? command : { ...command, parallel });
      }
    }
    return commands;
  }

  async run(commands: readonly CacheCommand[]): Promise<ExitCode> {
    const stopping = new AbortController();
    void this.#context.untilStopped().then(() => stopping.abort());
    const daemon: DaemonApi = await this.#context.loadDaemon();
    for (const command of commands) {
      try {
        await daemon.cacheCommand(command, {
          stateDir: this.#stateDir,
          signal: stopping.signal,
          onLine: (line) => this.#show(line),
        });
      } catch (error) {
        this.#endProgress();
        if (stopping.signal.aborted) return EXIT_CODES.stopped;
        throw error;
      }
      if (stopping.signal.aborted) return EXIT_CODES.stopped;
    }
    return this.#isWrong ? EXIT_CODES.failure : EXIT_CODES.ok;
  }

  #show(line: CacheLine): void {
    if (line.kind === 'failed' || (line.kind === 'verified' && (line.corrupt ?? 0) > 0)) {
      this.#isWrong = true;
    }
    if (line.kind === 'warmed' && (line.failed ?? 0) > 0) this.#isWrong = true;
    if (this.#flags.json === true) {
      this.#context.out(JSON.stringify(line));
      return;
    }
    if (line.kind === 'progress') {
      if (this.#context.isTerminal) this.#context.overwrite(progressText(line));
      return;
    }
    this.#endProgress();
    if (line.kind === 'failed') {
      this.#context.err(
        `alluxio-fuse: ${printable(line.path ?? '')}: ${printable(line.reason ?? '')}`,
      );
    } else this.#context.out(lineText(line));
  }

  #endProgress(): void {
    if (this.#context.isTerminal && this.#flags.json !== true) this.#context.overwrite('');
  }
}

function progressText({
  files = 0,
  checked,
  cachedBytes = 0,
  fetchedBytes = 0,
}: CacheLine): string {
  if (checked !== undefined) return `${count(checked)} of ${plural(files, 'file')} checked`;
  return `${plural(files, 'file')}, ${bytesText(cachedBytes)}, ${bytesText(fetchedBytes)} of it fetched`;
}

function lineText(line: CacheLine): string {
  const { files = 0, failed = 0, bytes = 0, inUse = 0, corrupt = 0, cachedBytes = 0 } = line;
  switch (line.kind) {
    case 'file': {
      const share = line.isComplete === true ? 'all ' : 'part';
      return `${String(cachedBytes).padStart(15)} ${share} ${printable(line.path ?? '')}`;
    }
    case 'dropped': {
      const left = inUse === 0 ? '' : `; ${plural(inUse, 'file')} in use left alone`;
      return `${plural(files, 'file')} dropped, ${bytesText(bytes)}${left}`;
    }
    case 'verified':
      return `${plural(files, 'file')} verified, ${corrupt === 0 ? 'all as written' : `${count(corrupt)} wrong and removed`}`;
    case 'warmed': {
      const how = progressText(line);
      return failed === 0 ? `${how}; all in the cache` : `${how}; ${plural(failed, 'failure')}`;
    }
    case 'stat':
      return statText(line as CacheLine & StatusDiskCache);
    default:
      return '';
  }
}

function statText({ directories, figures, meant }: CacheLine & StatusDiskCache): string {
  const rows = directories.map((directory) => [
    printable(directory.directory),
    directory.reason === undefined
      ? directory.state
      : `${directory.state}: ${printable(directory.reason)}`,
    bytesText(directory.usedBytes),
    directory.limitBytes >= Number.MAX_SAFE_INTEGER ? '-' : bytesText(directory.limitBytes),
    count(directory.files),
    count(directory.pages),
  ]);
  const head = ['DIRECTORY', 'STATE', 'USED', 'LIMIT', 'FILES', 'PAGES'];
  const { hitPages, missedPages, evictedBytes, corruptFiles } = figures;
  return [
    alignColumns([head, ...rows]),
    `${plural(meant?.files ?? 0, 'file')}, ${count(meant?.completeFiles ?? 0)} of them complete, ${bytesText(meant?.cachedBytes ?? 0)}`,
    `${plural(hitPages, 'hit')}, ${plural(missedPages, 'miss', 'misses')}, ${bytesText(evictedBytes)} evicted, ${plural(corruptFiles, 'corrupt file')}`,
  ].join('\n');
}
