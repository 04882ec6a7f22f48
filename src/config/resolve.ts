/**
 * From all sources to one `MountConfig`. Precedence, strongest first: flag, `-o`, `--property`,
 * environment, YAML file, alluxio-site.properties, default.
 *
 * No I/O of its own: files come through `readText`, so that the same inputs give the same result.
 */
import { resolve as resolvePath } from 'node:path';
import { Candidates, HIDDEN } from './candidates.ts';
import type { Candidate, NamedText } from './candidates.ts';
import { combine } from './combine.ts';
import { ConfigError } from './config-error.ts';
import { mountFlags } from './mount-flags.ts';
import { environmentName, optionList, options } from './options.ts';
import type { AnyOption, DefaultContext, OptionField, RawValues } from './options.ts';
import type { ConfigProblem, MountConfig, Provenance } from './types.ts';
import { ValueError, withoutCredentials } from './values.ts';

export interface ConfigInputs {
  readonly mountpoint: string | undefined;
  /** First positional of two, or of fstab: a URI is the under store, a word is the name for df. */
  readonly source?: string | undefined;
  /** Texts of flags; `true` or `false` for those without a value. */
  readonly flags: Readonly<Partial<Record<OptionField, string>>>;
  /** The text of each `-o`. */
  readonly mountOptions: readonly string[];
  /** The text of each `--property`. */
  readonly properties: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly uid: number;
  readonly gid: number;
  /** Throws an error with `code` 'ENOENT' where there is no such file. */
  readonly readText: (path: string) => string;
}

/** One option as resolved, for people. */
export interface ConfigEntry extends Provenance {
  readonly key: string;
  /** As it could be given again; undefined where the option has no value; secrets are hidden. */
  readonly value: string | undefined;
  /** What was given is none of the values allowed: see `problems`. */
  readonly isRefused?: boolean;
}

export interface ResolvedConfig {
  readonly config: MountConfig;
  readonly entries: readonly ConfigEntry[];
  readonly warnings: readonly string[];
}

/** The same, for a configuration that may be wrong. */
export interface ConfigInspection {
  /** Undefined when there are problems, or no mount point was given. */
  readonly config: MountConfig | undefined;
  readonly entries: readonly ConfigEntry[];
  readonly mountFlags: readonly string[];
  readonly problems: readonly ConfigProblem[];
  readonly warnings: readonly string[];
}

/** Throws `ConfigError` with all problems. */
export function resolveConfig(inputs: ConfigInputs): ResolvedConfig {
  const { config, entries, problems, warnings } = inspectConfig(inputs);
  if (config !== undefined) return { config, entries, warnings };
  const missing = { option: 'MOUNTPOINT', where: '', value: undefined, reason: 'must be given' };
  throw new ConfigError(problems.length > 0 ? problems : [missing]);
}

export function inspectConfig(inputs: ConfigInputs): ConfigInspection {
  const candidates = new Candidates(inputs.cwd);
  const { problems, warnings } = candidates;
  candidates.addFlags(inputs.flags);
  addSourceArgument(candidates, inputs.source);
  candidates.addMountOptions(inputs.mountOptions);
  candidates.addPropertyFlags(inputs.properties);
  candidates.addEnvironment(inputs.env);
  const yaml = readAsked(candidates, 'config', inputs);
  if (yaml !== undefined) candidates.addYaml(yaml);
  const site = readAsked(candidates, 'siteProperties', inputs) ?? readDefaultSite(inputs);
  if (site !== undefined) candidates.addSiteProperties(site, inputs.env);

  const values: Partial<Record<OptionField, unknown>> = {};
  const refused = new Set<OptionField>();
  const provenance: Partial<Record<OptionField, Provenance>> = {};
  for (const option of optionList) {
    const { field } = option;
    const known = problems.length;
    const { value, from } = valueOf(option, candidates.strongest(field), inputs, problems);
    if (problems.slice(known).some((problem) => problem.value !== undefined)) refused.add(field);
    if (value !== undefined) values[field] = value;
    provenance[field] = from;
  }
  // Every row puts a value of its own type under its own field (or none, where that is optional).
  const raw = values as unknown as RawValues;
  const mountpoint =
    inputs.mountpoint === undefined ? undefined : resolvePath(inputs.cwd, inputs.mountpoint);
  const optionValues = combine(raw, {
    provenance: provenance as Record<OptionField, Provenance>,
    readText: inputs.readText,
    problems,
    mountpoint,
  });

  const entries = optionList.map(({ field, row }) => {
    const isRefused = refused.has(field);
    const value = isRefused ? undefined : values[field];
    const text = value === undefined ? undefined : row.kind.format(value);
    return {
      key: row.key,
      value: text !== undefined && row.isSecret === true ? HIDDEN : text,
      ...(isRefused ? { isRefused } : {}),
      ...(provenance[field] ?? { source: 'default' as const, where: 'default' }),
    };
  });
  const flags = mountFlags(candidates.flagWords);
  const config =
    problems.length > 0 || optionValues === undefined || mountpoint === undefined
      ? undefined
      : {
          ...optionValues,
          mountpoint,
          mountFlags: flags,
        };
  return { config, entries, mountFlags: flags, problems: problems.map(presentable), warnings };
}

/** Of all sources alike: whatever was given may hold a password that does not belong there. */
function presentable(problem: ConfigProblem): ConfigProblem {
  const { value } = problem;
  return value === undefined ? problem : { ...problem, value: withoutCredentials(value) };
}

/** fstab's first field and the first of two positionals. */
function addSourceArgument(candidates: Candidates, source: string | undefined): void {
  if (source === undefined) return;
  const where = 'SOURCE argument';
  const place = {
    source: 'flag',
    where,
    dialect: { bareDurationUnit: 's' },
    baseDir: '/',
  } as const;
  if (!source.includes('://')) {
    if (source.includes('/')) {
      const reason = 'is neither a URI with its scheme, such as file:///data, nor a plain word';
      candidates.problems.push({ option: 'SOURCE', where, value: source, reason });
    } else if (source !== 'none') {
      candidates.add('fsName', { ...place, text: source });
    }
    return;
  }
  const flag = candidates.strongest('ufs');
  if (flag !== undefined && flag.text !== source) {
    const reason = `contradicts ${flag.where} ${withoutCredentials(flag.text)}`;
    candidates.problems.push({ option: 'ufs', where, value: source, reason });
  }
  candidates.add('ufs', { ...place, text: source });
}

/** A file named by an option. One that cannot be read is a problem. */
function readAsked(
  candidates: Candidates,
  field: 'config' | 'siteProperties',
  inputs: ConfigInputs,
): NamedText | undefined {
  const asked = candidates.strongest(field);
  if (asked === undefined || asked.text === '') return undefined;
  const name = resolvePath(asked.baseDir, asked.text);
  try {
    return { name, text: inputs.readText(name) };
  } catch (error) {
    const option = field === 'config' ? 'config' : 'site-properties';
    const reason = `cannot be read: ${messageOf(error)}`;
    candidates.problems.push({ option, where: asked.where, value: asked.text, reason });
    return undefined;
  }
}

/** Alluxio's own places, in its own order. One that is there but cannot be read is passed over. */
function readDefaultSite(inputs: ConfigInputs): NamedText | undefined {
  const { env } = inputs;
  const directories = [
    env['ALLUXIO_HOME'] === undefined ? undefined : `${env['ALLUXIO_HOME']}/conf`,
    env['HOME'] === undefined ? undefined : `${env['HOME']}/.alluxio`,
    '/etc/alluxio',
  ];
  for (const directory of directories) {
    if (directory === undefined || !directory.startsWith('/')) continue;
    const name = `${directory}/alluxio-site.properties`;
    try {
      return { name, text: inputs.readText(name) };
    } catch {
      // Most machines have none of them.
    }
  }
  return undefined;
}

function valueOf(
  { row }: AnyOption,
  candidate: Candidate | undefined,
  context: DefaultContext & Pick<ConfigInputs, 'cwd'>,
  problems: ConfigProblem[],
): { value: unknown; from: Provenance } {
  const fallback = row.fallback(context);
  if (candidate === undefined) {
    return { value: fallback, from: { source: 'default', where: 'default' } };
  }
  const { source, where, text, dialect, baseDir } = candidate;
  try {
    const value = row.kind.parse(text, dialect);
    return {
      value: row.isPath === true ? resolvedPaths(baseDir, value) : value,
      from: { source, where },
    };
  } catch (error) {
    if (!(error instanceof ValueError)) throw error;
    const detail = error.message === '' ? 'is not allowed' : error.message;
    const value = row.isSecret === true ? HIDDEN : text;
    problems.push({ option: row.key, where, value, reason: `${detail}; use ${row.kind.allowed}` });
    return { value: fallback, from: { source, where } };
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** A copy without secrets, for logs, `status` and records on disk. */
export function redactConfig(config: MountConfig): MountConfig {
  return config.etcdPassword === undefined ? config : { ...config, etcdPassword: HIDDEN };
}

/** Where mounts keep their records unless told otherwise: for commands that look for mounts. */
export function defaultStateDir(context: Pick<ConfigInputs, 'uid' | 'gid' | 'env'>): string {
  const text = context.env[environmentName(options.stateDir)];
  if (text !== undefined && text !== '') return text;
  return options.stateDir.fallback(context) ?? '';
}

function resolvedPaths(baseDir: string, value: unknown): unknown {
  if (Array.isArray(value)) return value.map((path) => resolvedPaths(baseDir, path));
  return typeof value === 'string' ? resolvePath(baseDir, value) : value;
}
