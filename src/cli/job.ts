/** `alluxio-fuse job load`: brings files into the workers' caches, by the cluster or by this client. */
import { InvalidArgumentError, Option, type Command } from 'commander';
import type { ClientLoadProgress, LoadOptions } from '../client/index.ts';
import { describeMounts, parseSize } from '../config/index.ts';
import { EXIT_CODES, UsageError } from './context.ts';
import type { CliContext, ExitCode } from './context.ts';
import { sizeText } from './fs-print.ts';
import { onCluster, type Finish, type Session } from './fs-session.ts';
import { LoadRecords } from './job-record.ts';
import { untilEnded } from './job-wait.ts';
import { ProgressBar } from './progress-bar.ts';

/** Progress is written down, and shown, so often. */
const TELL_MS = 1000;

const FORMATS = ['TEXT', 'JSON'] as const;

interface LoadFlags {
  readonly path: string;
  readonly submit?: boolean;
  readonly progress?: boolean;
  readonly stop?: boolean;
  readonly client?: boolean;
  readonly wait?: boolean;
  readonly bandwidth?: string;
  readonly verify?: boolean;
  readonly partialListing?: boolean;
  readonly metadataOnly?: boolean;
  readonly skipIfExists?: boolean;
  readonly fileFilterRegx?: string;
  readonly progressFormat?: (typeof FORMATS)[number];
  readonly concurrency: string;
}

const HELP = `
With --client this process reads every file through its owner, until it is done or stopped (Ctrl-C,
--stop): it needs no master or coordinator. The same command again goes on where it was: what the
workers hold already is not read again. --progress and --stop then mean the load that runs on this
machine.
Exit codes: 0 ok, 1 failure (also: the job failed, or is not known), 2 wrong usage, 3 this cluster runs
no load jobs, 130 stopped.`;

export function addJobCommands(program: Command, context: CliContext, finish: Finish): void {
  const group = program
    .command('job')
    .summary('load files into the caches of the workers')
    .description('Jobs of a cluster.');
  const load = group
    .command('load')
    .summary('load a path into the caches of the workers')
    .requiredOption('--path <PATH>', 'a file, or a directory with all that is in it')
    .option('--submit', 'begin (also when neither --progress nor --stop is given)')
    .option('--progress', 'how far it is')
    .option('--stop', 'end it')
    .option('--client', 'by this process, without a master or coordinator')
    .option('--wait', 'with --submit: until the job has ended')
    .option('--bandwidth <SIZE>', 'bytes a second: of each worker, or of --client as a whole')
    .option('--verify', 'look afterwards whether all of it is there')
    .option('--partial-listing', 'begin before the listing is complete')
    .option('--metadata-only', 'only status and listings')
    .option('--skip-if-exists', 'leave alone what is there already')
    .option('--file-filter-regx <REGEX>', 'only files whose name matches')
    .addOption(
      new Option('--progress-format <FORMAT>', 'of the message of --progress (default: TEXT)')
        .choices(FORMATS)
        .argParser(formatOf),
    )
    .option('--concurrency <NUMBER>', 'with --client: files at a time', '8')
    .addHelpText('after', HELP);
  onCluster(load, context, finish, (session) => {
    const flags = load.opts<LoadFlags>();
    const asked = [flags.submit, flags.progress, flags.stop].filter((is) => is === true);
    if (asked.length > 1) throw new UsageError('Give one of --submit, --progress and --stop');
    return flags.client === true ? byClient(session, flags) : byCluster(session, flags);
  });
}

async function byCluster(session: Session, flags: LoadFlags): Promise<ExitCode> {
  const { path } = flags;
  const { signal } = session;
  const { client } = session.fs;
  if (flags.progress === true) {
    const { progressFormat = 'TEXT' } = flags;
    const answer = await client.loadProgress(path, { progressFormat, signal });
    session.print(answer, () => [`state: ${answer.jobState ?? '?'}`, answer.message]);
    return answer.jobState?.includes('FAILED') === true ? EXIT_CODES.failure : EXIT_CODES.ok;
  }
  if (flags.stop === true) {
    const answer = await client.stopLoad(path, { signal });
    session.print(answer, () => answer.message);
    return answer.success === false ? EXIT_CODES.failure : EXIT_CODES.ok;
  }
  const options: LoadOptions = {
    signal,
    bandwidth: bandwidthOf(flags.bandwidth),
    verify: flags.verify,
    partialListing: flags.partialListing,
    loadMetadataOnly: flags.metadataOnly,
    skipIfExists: flags.skipIfExists,
    fileFilterRegx: flags.fileFilterRegx,
  };
  const submitted = await client.submitLoad(path, options);
  if (flags.wait !== true) {
    session.print(submitted, () => `submitted: ${submitted.jobId ?? '?'}`);
    return EXIT_CODES.ok;
  }
  const answer = await untilEnded(client, path, signal);
  const state = answer.jobState ?? '';
  session.print(answer, () => [`state: ${state}`, answer.message]);
  return state.includes('SUCCEEDED') ? EXIT_CODES.ok : EXIT_CODES.failure;
}

async function byClient(session: Session, flags: LoadFlags): Promise<ExitCode> {
  // Of the cluster's own loads alone: silence would be taken for consent.
  if (flags.partialListing === true) throw new UsageError('--partial-listing is not for --client');
  if (flags.progressFormat !== undefined) {
    throw new UsageError('--progress-format is not for --client: use --json');
  }
  const { config, fs, signal } = session;
  const { path } = await fs.client.location(flags.path, 1, { signal });
  const records = new LoadRecords(config.stagingDir);
  const cluster = `${describeMounts(config.mounts)} ${config.clusterName}`;
  const record = records.read(cluster, path);
  if (flags.progress === true || flags.stop === true) {
    if (record === undefined) throw new Error(`No load of ${path} was begun by this machine`);
    if (flags.stop === true && records.isRunning(record)) process.kill(record.pid, 'SIGTERM');
    session.print(record.progress, () => linesOf(record.progress));
    const isFailed = flags.progress === true && record.progress.jobState === 'FAILED';
    return isFailed ? EXIT_CODES.failure : EXIT_CODES.ok;
  }
  if (record !== undefined && records.isRunning(record)) {
    throw new Error(`Process ${record.pid} loads ${path} already`);
  }
  const concurrency = Number(flags.concurrency);
  if (!Number.isInteger(concurrency) || concurrency < 1 || concurrency > 256) {
    throw new UsageError(`--concurrency: "${flags.concurrency}" is not a number from 1 to 256`);
  }
  let toldMs = -Infinity;
  const bar = ProgressBar.begin(!session.json, async () => {
    const { files, size: bytes } = await fs.du(path, { signal });
    return { files, bytes };
  });
  const onProgress = (progress: ClientLoadProgress): void => {
    const { loadedFiles, skippedFiles, failedFiles, loadedBytes, skippedBytes } = progress;
    bar?.set(loadedFiles + skippedFiles + failedFiles, loadedBytes + skippedBytes);
    const now = performance.now();
    if (progress.jobState === 'RUNNING' && now - toldMs < TELL_MS) return;
    toldMs = now;
    records.write(cluster, path, progress);
  };
  const options = {
    signal,
    onProgress,
    concurrency,
    bandwidth: bandwidthOf(flags.bandwidth),
    verify: flags.verify,
    loadMetadataOnly: flags.metadataOnly,
    fileFilterRegx: flags.fileFilterRegx,
  };
  const result = await fs.client.loadByClient(path, options).finally(() => bar?.end());
  session.print(result, () => linesOf(result));
  if (result.jobState === 'STOPPED') return EXIT_CODES.stopped;
  return result.jobState === 'SUCCEEDED' ? EXIT_CODES.ok : EXIT_CODES.failure;
}

function linesOf(progress: ClientLoadProgress): string[] {
  const { jobState, loadedFiles, skippedFiles, failedFiles, loadedBytes, failures } = progress;
  const bytes = sizeText(loadedBytes, true);
  return [
    `${jobState}: ${loadedFiles} files loaded (${bytes}), ${skippedFiles} there already, ${failedFiles} failed`,
    ...failures.map(({ path, reason }) => `failed: ${path}: ${reason}`),
  ];
}

function bandwidthOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  try {
    const bytes = parseSize(text);
    if (bytes > 0) return bytes;
  } catch {
    // Said below, as for zero.
  }
  throw new UsageError(`--bandwidth: "${text}" is not a size such as 10MB`);
}

function formatOf(text: string): (typeof FORMATS)[number] {
  const format = FORMATS.find((one) => one === text.toUpperCase());
  if (format === undefined) throw new InvalidArgumentError('It is neither TEXT nor JSON.');
  return format;
}
