/** What every command on a cluster has in common: its flags, its connection, its end. */
import { Option } from 'commander';
import type { Command } from 'commander';
import type { AlluxioFileSystem } from '../client/index.ts';
import {
  defaultText,
  formatProblem,
  inspectConfig,
  isBooleanOption,
  isFlagOnCommandLine,
  optionList,
} from '../config/index.ts';
import type { ConfigInspection, MountConfig, OptionField, OptionGroup } from '../config/index.ts';
import { complain, warn } from './complaints.ts';
import { EXIT_CODES, UsageError } from './context.ts';
import type { CliContext, ExitCode } from './context.ts';
import { jsonText } from './fs-print.ts';
import { collect, joinLists } from './repeated.ts';

const GROUPS: ReadonlySet<OptionGroup> = new Set([
  'Configuration files',
  'Cluster',
  'Deadlines and fallback',
  'Under store',
]);
const FIELDS: ReadonlySet<OptionField> = new Set(['stagingDir', 'posixAttributes']);

export interface SessionFlags {
  readonly json?: boolean;
  readonly property?: readonly string[];
  readonly [attribute: string]: unknown;
}

export interface Session {
  readonly context: CliContext;
  readonly fs: AlluxioFileSystem;
  readonly config: MountConfig;
  readonly json: boolean;
  /** Aborted when the program is asked to stop. */
  readonly signal: AbortSignal;
  /** JSON where that was asked for, else the lines. */
  print(value: unknown, lines: () => string | readonly string[]): void;
  /** One of many that belong to no list: the object is a line, too, so that nobody need hold them all. */
  printOne(value: unknown, line: () => string): void;
  /** Tells a failure that is not the end of the command, and the exit code that it makes. */
  failed(error: unknown): ExitCode;
  /** One after the other, also where some fail: the exit code is that of the first of these. */
  each(
    paths: readonly string[],
    work: (path: string) => Promise<void>,
  ): Promise<ExitCode | undefined>;
}

export type Finish = (code: ExitCode) => void;
export type Work = (session: Session, args: readonly string[]) => Promise<ExitCode | undefined>;

/** The connection's flags, as `mount` has them. Returns what of them was given. */
export function addClusterFlags(command: Command): () => Partial<Record<OptionField, string>> {
  command.option('--json', 'as JSON');
  command.option('--property <NAME=VALUE>', 'an Alluxio property; may be repeated', collect);
  const attributes = new Map<string, OptionField>();
  for (const option of optionList) {
    const { field, row } = option;
    const isWanted = GROUPS.has(row.group) || FIELDS.has(field);
    if (!isWanted) continue;
    if (!isFlagOnCommandLine(row)) {
      // Only to be refused with what to do instead; as an unknown flag it would be repeated.
      const refused = new Option(`--${row.key} [${row.kind.placeholder}]`).hideHelp();
      command.addOption(refused);
      attributes.set(refused.attributeName(), field);
      continue;
    }
    const value = isBooleanOption(row) ? '' : ` <${row.kind.placeholder}>`;
    const description = `${row.doc} (default: ${defaultText(option)})`;
    const flag = new Option(`--${row.key}${value}`, description).helpGroup('Cluster:');
    if (row.isRepeatable === true) flag.argParser(joinLists);
    command.addOption(flag);
    attributes.set(flag.attributeName(), field);
  }
  return () => {
    const flags: Partial<Record<OptionField, string>> = {};
    for (const [attribute, field] of attributes) {
      if (command.getOptionValueSource(attribute) !== 'cli') continue;
      flags[field] = String(command.getOptionValue(attribute));
    }
    return flags;
  };
}

export function inspect(
  context: CliContext,
  flags: Partial<Record<OptionField, string>>,
  properties: readonly string[],
): ConfigInspection {
  const { env, cwd, uid, gid, readText } = context;
  const given = { flags, mountOptions: [], properties };
  // No mount point is used; the table wants one all the same.
  return inspectConfig({ mountpoint: '/', ...given, env, cwd, uid, gid, readText });
}

/** Adds the flags and the action: connects, works, closes, and says what failed, with this code. */
export function onCluster(
  command: Command,
  context: CliContext,
  finish: Finish,
  work: Work,
  failureCode?: ExitCode,
): Command {
  const flagsOf = addClusterFlags(command);
  return command.action(async () => {
    const { json = false, property = [] } = command.opts<SessionFlags>();
    const { config, problems } = inspect(context, flagsOf(), property);
    if (config === undefined) {
      tellProblems(context, json, problems);
      finish(EXIT_CODES.usage);
      return;
    }
    const stopping = new AbortController();
    void context.untilStopped().then(() => stopping.abort());
    const { signal } = stopping;
    const outcome = await inSession(context, config, json, signal, (session) =>
      work(session, command.args),
    );
    finish('code' in outcome ? outcome.code : (failureCode ?? outcome.failure));
  });
}

async function inSession(
  context: CliContext,
  config: MountConfig,
  json: boolean,
  signal: AbortSignal,
  work: (session: Session) => Promise<ExitCode | undefined>,
): Promise<{ readonly code: ExitCode } | { readonly failure: ExitCode }> {
  const { AlluxioFileSystem } = await import('../client/index.ts');
  let fs: AlluxioFileSystem | undefined;
  try {
    const level = { debug: ignore, info: ignore };
    const say = (fields: object, message: string): void => warn(context, json, message, fields);
    const logger = { ...level, warn: say, error: say };
    fs = await AlluxioFileSystem.openWith(config, { logger }, { signal });
    const print: Session['print'] = (value, lines) => {
      if (json) {
        context.out(jsonText(value, 2));
        return;
      }
      const given = lines();
      for (const line of typeof given === 'string' ? [given] : given) context.out(line);
    };
    const printOne: Session['printOne'] = (value, line) =>
      context.out(json ? jsonText(value) : line());
    const failed = (error: unknown): ExitCode => tell(context, error, json, signal);
    const each: Session['each'] = async (paths, one) => {
      let code: ExitCode | undefined;
      for (const path of paths) {
        try {
          await one(path);
        } catch (error) {
          // The one failure of the one path is that of the command, as is what ends all of them.
          if (paths.length === 1 || signal.aborted) throw error;
          const own = failed(error);
          code ??= own;
        }
      }
      return code;
    };
    const code = await work({ context, fs, config, json, signal, print, printOne, failed, each });
    // What was changed is in the cluster only now: its failure is the command's.
    await fs.close();
    return { code: code ?? EXIT_CODES.ok };
  } catch (error) {
    await fs?.close().catch(ignore);
    return { failure: tell(context, error, json, signal) };
  }
}

/** Prints the failure, and tells which exit code it has. */
function tell(context: CliContext, error: unknown, json: boolean, signal?: AbortSignal): ExitCode {
  const { code, reason, path, worker, operation } = error as Partial<Record<string, string>>;
  const message = error instanceof Error ? error.message : String(error);
  const isUsage = error instanceof UsageError;
  const about = { operation, path, worker, reason: reason ?? message };
  const by = worker === undefined ? '' : ` (${worker})`;
  complain(context, json, { code: isUsage ? 'usage' : code, ...about }, `${message}${by}`);
  if (signal?.aborted === true) return EXIT_CODES.stopped;
  if (code === 'unsupported' || code === 'inexpressible') return EXIT_CODES.unsupported;
  const isWrong = isUsage || code === 'invalid' || code === 'configuration';
  return isWrong ? EXIT_CODES.usage : EXIT_CODES.failure;
}

export function tellProblems(
  context: CliContext,
  json: boolean,
  problems: ConfigInspection['problems'],
): void {
  for (const problem of problems) {
    complain(context, json, { code: 'configuration', reason: formatProblem(problem) });
  }
}

function ignore(): void {
  // Of no interest at the end of a command that has failed already, or below a warning.
}
