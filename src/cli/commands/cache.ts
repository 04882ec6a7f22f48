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
mount point (from where you are, unless they begin with a slash); a directory means all that is in it.
Exit codes: 0 ok, 1 failure (verify: something was not as it was written; warm: a file could not be
fetched, or is not in the cache for lack of room), 2 wrong usage, 130 stopped.`;
const PARALLEL_MAX = 64;
/** Of paths that the cache does not know they do nothing, and say so. */
const NAMED: ReadonlySet<CacheCommand['verb']> = new Set(['ls', 'verify', 'drop']);
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
        paths: paths.map((each) => resolve(context.cwd, each)),
        ...(parallel === undefined ? {} : { parallel }),
      };
      finish(await new CacheRun(context, flags).run([[command]]));
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
        'they lie in. The daemon of the mount does it; it needs --cache-dir. What is cached already is not fetched again. ' +
        'Fails (1) where a file could not be fetched, or is not in the cache afterwards for lack of room.',
    )
    .argument('[PATH...]', 'below mount points')
    .option('--list <FILE>', 'a file with more paths, one a line (-: standard input)')
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
    const text = context.readText(file === '-' ? '/dev/stdin' : resolve(context.cwd, file));
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
  readonly #stopping = new AbortController();
  /** What the parts that are done said at their end. */
  #ends: CacheLine[] = [];
  #found = 0;
  #isWrong = false;

  constructor(context: CliContext, flags: CacheFlags) {
    this.#context = context;
    this.#flags = flags;
    this.#stateDir = resolve(context.cwd, flags.stateDir ?? defaultStateDir(context));
    void context.untilStopped().then(() => this.#stopping.abort());
  }

  /** Those of each mount, in parts that are not too long. */
  async warmCommands(paths: readonly string[]): Promise<CacheCommand[][]> {
    const daemon = await this.#context.loadDaemon();
    const find = daemon.mountFinder({ stateDir: this.#stateDir });
    const byMount = new Map<string, string[]>();
    for (const given of paths) {
      const found = find(given);
      if (found === undefined) throw new Error(`${given} lies in no mount of alluxio-fuse`);
      const { mountpoint, path } = found;
      const others = byMount.get(mountpoint);
      if (others === undefined) byMount.set(mountpoint, [path]);
      else others.push(path);
    }
    const parallel = parallelOf(this.#flags);
    return [...byMount].map(([target, all]) => {
      const commands: CacheCommand[] = [];
      for (let first = 0; first < all.length; first += PATHS_MAX) {
        const part = all.slice(first, first + PATHS_MAX);
        const command = { verb: 'warm', target, paths: part } as const;
        commands.push(parallel === undefined ? command : { ...command, parallel });
      }
      return commands;
    });
  }

  /** One mount after the other. */
  async run(mounts: readonly (readonly CacheCommand[])[]): Promise<ExitCode> {
    const { signal } = this.#stopping;
    try {
      for (const parts of mounts) {
        const ends = await this.#ask(parts);
        if (signal.aborted) break;
        // What one part fetched may have pushed out what an earlier one did.
        if (ends.every(({ losses = 0 }) => losses === 0)) continue;
        await this.#ask(parts.map((part) => ({ ...part, verb: 'missing' })));
      }
    } catch (error) {
      this.#endProgress();
      if (!signal.aborted) throw error;
    }
    if (signal.aborted) return EXIT_CODES.stopped;
    return this.#isWrong ? EXIT_CODES.failure : EXIT_CODES.ok;
  }

  /** What each of the parts said at its end. */
  async #ask(parts: readonly CacheCommand[]): Promise<readonly CacheLine[]> {
    const daemon: DaemonApi = await this.#context.loadDaemon();
    this.#ends = [];
    for (const part of parts) {
      await daemon.cacheCommand(part, {
        stateDir: this.#stateDir,
        signal: this.#stopping.signal,
        onLine: (line) => this.#show(line),
      });
      if (NAMED.has(part.verb) && part.paths.length > 0 && this.#found === 0) {
        this.#context.err(`alluxio-fuse: nothing is cached of ${printable(part.paths.join(', '))}`);
      }
      if (this.#stopping.signal.aborted) return this.#ends;
    }
    const whole = total(this.#ends);
    if (whole !== undefined && this.#flags.json !== true) {
      this.#endProgress();
      if (whole.kind === 'missing') this.#tellMissing(whole);
      else this.#context.out(warmedText(whole));
    }
    return this.#ends;
  }

  #show(line: CacheLine): void {
    const { kind, corrupt = 0, failed = 0, missingFiles = 0, files = 0, inUse = 0 } = line;
    this.#found += kind === 'file' ? 1 : files + inUse;
    const isEnd = kind === 'warmed' || kind === 'missing';
    if (isEnd) this.#ends.push(line);
    if (kind === 'failed' || (kind === 'verified' && corrupt > 0)) this.#isWrong = true;
    if (isEnd && failed + missingFiles > 0) this.#isWrong = true;
    if (this.#flags.json === true) {
      this.#context.out(JSON.stringify(line));
      return;
    }
    if (kind === 'progress') {
      const whole = total([...this.#ends, line]);
      if (this.#context.isTerminal) this.#context.overwrite(progressText(whole ?? line));
      return;
    }
    if (isEnd) return;
    this.#endProgress();
    if (kind === 'failed') {
      this.#context.err(
        `alluxio-fuse: ${printable(line.path ?? '')}: ${printable(line.reason ?? '')}`,
      );
    } else this.#context.out(lineText(line));
  }

  #tellMissing({
    files = 0,
    failed = 0,
    missingFiles = 0,
    bytes = 0,
    directories,
  }: CacheLine): void {
    const { err } = this.#context;
    if (failed > 0) err(`alluxio-fuse: ${plural(failed, 'path')} could not be looked at again`);
    if (missingFiles === 0) {
      this.#context.out(failed === 0 ? 'All in the cache' : 'All others are in the cache');
      return;
    }
    const share = `${count(missingFiles)} of ${plural(files, 'file')} (${bytesText(bytes)} in all)`;
    err(`alluxio-fuse: ${share} are not in the cache: ${reasonText(bytes, directories ?? [])}`);
  }

  #endProgress(): void {
    if (this.#context.isTerminal && this.#flags.json !== true) this.#context.overwrite('');
  }
}

/** The sums over parts; undefined for none. */
function total(lines: readonly CacheLine[]): CacheLine | undefined {
  const last = lines.at(-1);
  if (last === undefined) return undefined;
  const sums: Record<string, number> = {};
  for (const line of lines) {
    for (const [key, value] of Object.entries(line)) {
      if (typeof value === 'number') sums[key] = (sums[key] ?? 0) + value;
    }
  }
  return { ...last, ...sums };
}

/** Why files are not in the cache after they were fetched, and what helps. */
function reasonText(bytes: number, directories: StatusDiskCache['directories']): string {
  const reasons = directories.flatMap(({ directory, reason }) =>
    reason === undefined ? [] : [`${printable(directory)}: ${printable(reason)}`],
  );
  const serving = directories.filter(({ state }) => state !== 'retired');
  const limitBytes = serving.reduce((sum, directory) => sum + directory.limitBytes, 0);
  if (bytes > limitBytes || reasons.length === 0) {
    const where = serving.length > 1 ? ` in ${serving.length} directories` : '';
    const others =
      bytes > limitBytes ? '' : ', and other files or --cache-free-space leave less than that';
    reasons.push(`--cache-limit allows ${bytesText(limitBytes)}${where}${others}`);
  }
  return `${reasons.join('; ')}. Give the cache more room, or fetch fewer files`;
}

function progressText({
  files = 0,
  checked,
  missingFiles,
  cachedBytes = 0,
  fetchedBytes = 0,
}: CacheLine): string {
  if (checked !== undefined) return `${count(checked)} of ${plural(files, 'file')} checked`;
  if (missingFiles !== undefined) return `${plural(files, 'file')} looked at again`;
  return `${plural(files, 'file')}, ${bytesText(cachedBytes)}, ${bytesText(fetchedBytes)} of it fetched`;
}

/** Where something was lost, it is looked at again before anything is said of the cache. */
function warmedText(line: CacheLine): string {
  const { failed = 0, losses = 0 } = line;
  const how = progressText(line);
  if (failed > 0) return `${how}; ${plural(failed, 'failure')}`;
  return losses > 0 ? how : `${how}; all in the cache`;
}

function lineText(line: CacheLine): string {
  const { files = 0, bytes = 0, inUse = 0, corrupt = 0, cachedBytes = 0 } = line;
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
