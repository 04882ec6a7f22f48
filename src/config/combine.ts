/** From single options to the whole: rules that concern more than one option. */
import { optionList } from './options.ts';
import type { OptionField, RawValues } from './options.ts';
import type {
  ConfigProblem,
  ConfiguredMount,
  MountConfig,
  Provenance,
  SourceKind,
} from './types.ts';
import { formatDuration, formatSize } from './values.ts';

/** Fewer could not hold the page being read, the next one and one more for a second reader. */
const PAGES_MIN = 4;

/** What `combine` gives: all but what belongs to the single mount. */
export type CombinedValues = Omit<MountConfig, 'mountpoint' | 'mountFlags'>;

export interface CombineContext {
  readonly provenance: Readonly<Record<OptionField, Provenance>>;
  readonly readText: (path: string) => string;
  readonly problems: ConfigProblem[];
  /** Absolute, where there is one. */
  readonly mountpoint: string | undefined;
}

/** What is so of data that does not change; a year is "for ever" for a mount. */
const FOREVER_MS = 365 * 24 * 3600 * 1000;
const IMMUTABLE = { readOnly: true, attrTimeoutMs: FOREVER_MS, entryTimeoutMs: FOREVER_MS };

const STRENGTH: readonly SourceKind[] = [
  'default',
  'site-properties',
  'yaml',
  'environment',
  'property-flag',
  'mount-option',
  'flag',
];

/** Undefined where a required value is missing; further problems go to the list of the context. */
export function combine(parsed: RawValues, context: CombineContext): CombinedValues | undefined {
  const raw = parsed.immutable ? { ...parsed, ...IMMUTABLE } : parsed;
  const { provenance } = context;
  const problem = (field: OptionField, value: string | undefined, reason: string): void => {
    const row = optionList.find((option) => option.field === field)?.row;
    const { source, where } = provenance[field];
    context.problems.push({
      option: row?.key ?? field,
      where: source === 'default' ? '' : where,
      value,
      reason,
    });
  };

  const strengthOf = (field: OptionField): number => STRENGTH.indexOf(provenance[field].source);

  /** Which of two options that exclude each other counts. */
  const choose = <T extends OptionField>(one: T, other: T): T | undefined => {
    if (raw[one] === undefined && raw[other] === undefined) return undefined;
    if (raw[one] === undefined) return other;
    if (raw[other] === undefined) return one;
    const difference = strengthOf(one) - strengthOf(other);
    if (difference === 0) problem(one, undefined, `excludes ${provenance[other].where}: give one`);
    return difference >= 0 ? one : other;
  };

  const textOf = (field: OptionField, path: string): string | undefined => {
    try {
      return context.readText(path);
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      problem(field, path, `cannot be read: ${message}`);
      return undefined;
    }
  };

  const passwordFrom = choose('etcdPassword', 'etcdPasswordFile');
  let etcdPassword = passwordFrom === 'etcdPassword' ? raw.etcdPassword : undefined;
  if (passwordFrom === 'etcdPasswordFile' && raw.etcdPasswordFile !== undefined) {
    etcdPassword = textOf(passwordFrom, raw.etcdPasswordFile)?.split(/\r?\n/, 1)[0];
    if (etcdPassword === '') problem(passwordFrom, raw.etcdPasswordFile, 'holds no password');
  }
  if (etcdPassword !== undefined && raw.etcdUsername === undefined) {
    problem('etcdUsername', undefined, 'must be given with a password for etcd');
  }
  if (etcdPassword === undefined && passwordFrom === undefined && raw.etcdUsername !== undefined) {
    problem('etcdUsername', raw.etcdUsername, 'needs a password: give --etcd-password-file');
  }

  checkTls(raw, problem);
  const minimum = PAGES_MIN * raw.pageSizeBytes;
  if (raw.memoryLimitBytes < minimum) {
    const [given, page] = [formatSize(raw.memoryLimitBytes), formatSize(raw.pageSizeBytes)];
    const pages = `pages of ${page} (${provenance.pageSizeBytes.where})`;
    const reason = `is too small for ${pages}; use at least ${formatSize(minimum)}`;
    problem('memoryLimitBytes', given, reason);
  }
  if (raw.connectTimeoutMs > raw.requestTimeoutMs) {
    const [connect, request] = [raw.connectTimeoutMs, raw.requestTimeoutMs].map(formatDuration);
    // The one that somebody gave, else the one that was given more strongly.
    const isRequest = strengthOf('requestTimeoutMs') >= strengthOf('connectTimeoutMs');
    if (isRequest) {
      const other = `--connect-timeout is ${connect} (${provenance.connectTimeoutMs.where})`;
      const reason = `is too short: ${other}; use at least ${connect}, or a shorter --connect-timeout with it`;
      problem('requestTimeoutMs', request, reason);
    } else {
      const other = `--request-timeout is ${request} (${provenance.requestTimeoutMs.where})`;
      const reason = `is too long: ${other}; use at most ${request}, or a longer --request-timeout with it`;
      problem('connectTimeoutMs', connect, reason);
    }
  }
  if (!parsed.readOnly && parsed.immutable && strengthOf('readOnly') >= strengthOf('immutable')) {
    problem('readOnly', 'false', 'is not possible with --immutable: nobody may change the data');
  }
  const ownPaths: readonly (readonly [OptionField, string])[] = [
    ...(raw.cacheDirs ?? []).map((path) => ['cacheDirs', path] as const),
    ...(raw.readOnly ? [] : [['stagingDir', raw.stagingDir] as const]),
    ['stateDir', raw.stateDir],
    ...(raw.logFile === undefined ? [] : [['logFile', raw.logFile] as const]),
  ];
  for (const [field, path] of ownPaths) {
    const { mountpoint } = context;
    if (mountpoint === undefined || !`${path}/`.startsWith(`${mountpoint}/`)) continue;
    problem(field, path, 'lies inside the mount point, which the daemon itself serves');
  }
  if (!raw.readOnly && raw.posixAttributes === 'off') {
    const reason =
      'is not possible with a writable mount: owners, modes and links have to be kept; add --read-only';
    problem('posixAttributes', 'off', reason);
  }
  const isForAll = provenance.ufs.source === 'site-properties';
  const mounts = mountsOf(raw, isForAll, problem);
  const schemes = mounts?.map(({ ufs }) => ufs.split(':', 1)[0]) ?? [];
  if (raw.uploadStrategy === 'single-put' && schemes.includes('file')) {
    const reason =
      'is not possible with a file:// root, which keeps the beginning of an upload that is cut; use auto';
    problem('uploadStrategy', 'single-put', reason);
  }
  const isOneDirectory = schemes.length === 1 && schemes[0] === 'file';
  if (raw.uploadStrategy === 'rename' && mounts !== undefined && !isOneDirectory) {
    const reason =
      'needs one under store, that this machine reaches itself: a file:// root; use auto';
    problem('uploadStrategy', 'rename', reason);
  }

  const { pathRulesFile } = raw;
  const pathRules =
    pathRulesFile === undefined ? undefined : textOf('pathRulesFile', pathRulesFile);

  const membership = choose('etcdHosts', 'workerHosts');
  // A value that was given but is wrong has been reported already.
  const isGiven = (field: OptionField): boolean => provenance[field].source !== 'default';
  if (membership === undefined && !isGiven('etcdHosts') && !isGiven('workerHosts')) {
    problem('etcdHosts', undefined, 'must be given (or --worker-hosts): which cluster to mount');
  }
  if (mounts === undefined && !isGiven('ufs') && !isGiven('map')) {
    const reason = 'must be given: the root of the name space, as alluxio.dora.client.ufs.root';
    problem('ufs', undefined, reason);
  }
  if (membership === undefined || mounts === undefined) return undefined;

  const {
    etcdPasswordFile: _file,
    pathRulesFile: _rules,
    config: _config,
    siteProperties: _site,
    ...kept
  } = raw;
  const { etcdPassword: _password, ufs: _ufs, map: _map, ...values } = kept;
  const isTls = raw.etcdCaFile !== undefined;
  return {
    ...values,
    ...(etcdPassword === undefined ? {} : { etcdPassword }),
    ...(pathRules === undefined ? {} : { pathRules }),
    mounts,
    mountsFrom: mounts.length === 0 ? 'cluster' : 'configuration',
    cacheDirs: raw.cacheDirs ?? [],
    membershipSource: membership === 'etcdHosts' ? 'etcd' : 'static',
    etcdHosts: (membership === 'etcdHosts' ? (raw.etcdHosts ?? []) : []).map(
      ({ scheme, host, port }) =>
        `${scheme ?? (isTls ? 'https' : 'http')}://${host}:${port ?? raw.etcdPort}`,
    ),
    workerHosts: (membership === 'workerHosts' ? (raw.workerHosts ?? []) : []).map(
      ({ host, ports }) => ({
        host,
        httpPort: ports[0] ?? raw.workerHttpPort,
        s3Port: ports[1] ?? raw.workerS3Port,
      }),
    ),
  };
}

type Report = (field: OptionField, value: string | undefined, reason: string) => void;

/** `isRootForAll`: it stands in the properties of all clients of the machine, and gives way. */
function mountsOf(
  raw: RawValues,
  isRootForAll: boolean,
  problem: Report,
): readonly ConfiguredMount[] | undefined {
  const { ufs, map } = raw;
  if (ufs === undefined || (map !== undefined && isRootForAll)) return map;
  if (map?.length === 0 || map?.some(({ path }) => path === '/') === true) {
    problem('ufs', ufs, 'is the mount at /, which --map is to tell: give one');
  }
  return [{ path: '/', ufs }, ...(map ?? [])];
}

function checkTls(raw: RawValues, problem: Report): void {
  const { etcdCaFile, etcdCertFile, etcdKeyFile } = raw;
  if ((etcdCertFile === undefined) !== (etcdKeyFile === undefined)) {
    const given = etcdCertFile === undefined ? 'etcdKeyFile' : 'etcdCertFile';
    problem(given, raw[given], 'needs both --etcd-cert-file and --etcd-key-file');
  }
  if (etcdCertFile !== undefined && etcdCaFile === undefined) {
    problem('etcdCertFile', etcdCertFile, 'needs --etcd-ca-file');
  }
  const plain = raw.etcdHosts?.find(({ scheme }) => scheme === 'http');
  if (plain !== undefined && etcdCaFile !== undefined) {
    problem('etcdHosts', `http://${plain.host}`, 'is not https, but --etcd-ca-file is given');
  }
}
