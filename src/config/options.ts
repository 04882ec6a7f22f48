/**
 * THE table of options. Flags, environment names, YAML keys, `-o` keys, Alluxio property names,
 * help, docs/options.md and `--print-config` are all made from these rows; nothing else in the
 * program names an option.
 *
 * From a row's key `page-size` follow `--page-size`, `ALLUXIO_FUSE_PAGE_SIZE`, the YAML key
 * `page-size` and `-o page_size`.
 */
import { cacheOptions } from './cache-options.ts';
import { etcdOptions } from './etcd-options.ts';
import { workerHostsKind } from './hosts.ts';
import type { EtcdHost, HostAndPorts } from './hosts.ts';
import { s3Options } from './s3-options.ts';
import { mapKind, ufsKind } from './mounts.ts';
import type { ConfiguredMount, OptionValues } from './types.ts';
import {
  booleanKind,
  choiceKind,
  durationKind,
  integerKind,
  modeKind,
  parseBoolean,
  pathKind,
  portKind,
  sizeKind,
  textKind,
} from './values.ts';
import type { ValueKind } from './values.ts';

/** What defaults depend on. */
export interface DefaultContext {
  readonly uid: number;
  readonly gid: number;
  readonly env: Readonly<Record<string, string | undefined>>;
}

export const OPTION_GROUPS = [
  'Configuration files',
  'Cluster',
  'Deadlines and fallback',
  'Under store',
  'Cache',
  'Files and permissions',
  'Mount',
  'Running',
] as const;
export type OptionGroup = (typeof OPTION_GROUPS)[number];

export interface OptionRow<T> {
  readonly key: string;
  readonly group: OptionGroup;
  readonly kind: ValueKind<T>;
  /** Alluxio's names for the same thing; the first one that is set in a file counts. */
  readonly properties?: readonly string[];
  /** Further `-o` keys, as libfuse spells them. */
  readonly mountOptions?: readonly string[];
  /** Further `-o` words that mean false. */
  readonly negativeMountOptions?: readonly string[];
  /** Undefined where the option has no value unless given. */
  readonly fallback: (context: DefaultContext) => T | undefined;
  /** For help and docs, where the default depends on the machine or is not there. */
  readonly defaultText?: string;
  readonly doc: string;
  /** Never shown, and never taken from a command line, which every user of the machine can read. */
  readonly isSecret?: true;
  /** Given several times, the values are one list with commas. */
  readonly isRepeatable?: true;
  /** A path, or a list of them. Relative ones are taken from the working directory, or the directory of the file they are in. */
  readonly isPath?: true;
}

/** Values as parsed, before options are combined into a `MountConfig`. */
export interface RawValues extends Omit<
  OptionValues,
  'etcdHosts' | 'workerHosts' | 'mounts' | 'mountsFrom' | 'pathRules' | 'cacheDirs'
> {
  readonly cacheDirs?: readonly string[];
  readonly etcdHosts?: readonly EtcdHost[];
  readonly workerHosts?: readonly HostAndPorts[];
  readonly ufs?: string;
  readonly map?: readonly ConfiguredMount[];
  readonly etcdPasswordFile?: string;
  readonly pathRulesFile?: string;
  readonly config?: string;
  readonly siteProperties?: string;
}

export type OptionField = keyof RawValues;

export type OptionTable = {
  readonly [Field in OptionField]-?: OptionRow<NonNullable<RawValues[Field]>>;
};

const KB = 1024;
const MB = 1024 * KB;
const GB = 1024 * MB;
const TB = 1024 * GB;
const SECOND = 1000;
const HOUR = 3600 * SECOND;
const DAY = 24 * HOUR;

/** The kernel's attribute times are 64 bit; a year is "for ever" for a mount. */
const cacheTimeKind = durationKind({ min: 0, max: 365 * DAY });
const idKind = integerKind({ min: 0, max: 2 ** 32 - 2 });
const nameKind = (what: string): ValueKind<string> =>
  textKind({ placeholder: 'NAME', allowed: what, pattern: /^[^\s/,\\]+$/ });

const virtualNodesKind: ValueKind<number | 'auto'> = {
  placeholder: 'auto|NUMBER',
  allowed: 'auto, or a whole number from 1 to 10000',
  parse(text, dialect) {
    if (text.trim().toLowerCase() === 'auto') return 'auto';
    return integerKind({ min: 1, max: 10_000 }).parse(text, dialect);
  },
  format: String,
};

const fallbackKind: ValueKind<'auto' | 'off'> = {
  placeholder: 'auto|off',
  allowed: 'auto (or true) or off (or false)',
  parse(text) {
    if (text.trim().toLowerCase() === 'auto') return 'auto';
    return parseBoolean(text) ? 'auto' : 'off';
  },
  format: (value) => value,
};

const METRICS_NAME = /^[\w.:%-]+$/;

export const options: OptionTable = {
  config: {
    key: 'config',
    group: 'Configuration files',
    kind: pathKind,
    fallback: () => undefined,
    defaultText: 'none',
    isPath: true,
    doc: 'YAML file with any of these options, keyed by their names without the dashes.',
  },
  siteProperties: {
    key: 'site-properties',
    group: 'Configuration files',
    kind: pathKind,
    fallback: () => undefined,
    defaultText:
      'the first that exists of $ALLUXIO_HOME/conf/alluxio-site.properties, ~/.alluxio/alluxio-site.properties and /etc/alluxio/alluxio-site.properties',
    isPath: true,
    doc: "Alluxio's own property file. The properties named below are read from it; all others are left to Alluxio.",
  },
  ...etcdOptions,
  clusterName: {
    key: 'cluster-name',
    group: 'Cluster',
    kind: nameKind('a name without slashes, commas and blanks'),
    properties: ['alluxio.cluster.name'],
    fallback: () => 'DefaultAlluxioCluster',
    doc: 'Name under which the workers register in etcd. On Kubernetes usually NAMESPACE-RELEASE.',
  },
  workerHosts: {
    key: 'worker-hosts',
    group: 'Cluster',
    kind: workerHostsKind,
    isRepeatable: true,
    fallback: () => undefined,
    defaultText: 'none; this or `--etcd-hosts` is required',
    doc: 'A fixed list of workers, in place of etcd. Where both are given, the one from the stronger source counts.',
  },
  workerHttpPort: {
    key: 'worker-http-port',
    group: 'Cluster',
    kind: portKind,
    properties: ['alluxio.worker.http.server.port'],
    fallback: () => 28080,
    doc: 'HTTP port of workers in `--worker-hosts` that are given without one.',
  },
  workerS3Port: {
    key: 'worker-s3-port',
    group: 'Cluster',
    kind: portKind,
    properties: ['alluxio.worker.rest.port'],
    fallback: () => 29998,
    doc: 'S3 port of the workers. etcd does not tell it, so it is the same on all of them.',
  },
  pageSizeBytes: {
    key: 'page-size',
    group: 'Cluster',
    kind: sizeKind({ min: 4 * KB, max: 256 * MB, multipleOf: 4 * KB }),
    properties: ['alluxio.worker.page.store.page.size'],
    fallback: () => MB,
    doc: 'Page size of the cluster. Must be what the workers use; another size is found out, reported, and costs speed.',
  },
  virtualNodes: {
    key: 'virtual-nodes',
    group: 'Cluster',
    kind: virtualNodesKind,
    properties: [
      'alluxio.user.worker.selection.policy.consistent.hash.virtual.node.count.per.worker',
      'alluxio.user.consistent.hash.virtual.node.count.per.worker',
    ],
    fallback: () => 'auto',
    doc: 'Virtual nodes of each worker on the hash ring. The cluster does not tell: auto begins with 2000 and learns from the redirects of the workers; a number pins it.',
  },
  routing: {
    key: 'routing',
    group: 'Cluster',
    kind: choiceKind(['ring', 'node']),
    fallback: () => 'ring',
    doc: "Who tells which worker a file belongs to. ring: Alluxio's hash ring of the workers in etcd or in `--worker-hosts`. node: the workers themselves, asked once a minute for each file (/v1/node, Enterprise), for a cluster without etcd: some of its workers in `--worker-hosts`, or a DNS name that leads to any of them, are enough.",
  },
  ufs: {
    key: 'ufs',
    group: 'Cluster',
    kind: ufsKind,
    properties: ['alluxio.dora.client.ufs.root'],
    fallback: () => undefined,
    defaultText: 'none; required without --map',
    doc: 'Root of the name space in the under store, exactly as the cluster has it: it is part of what is hashed to find the owner of a file.',
  },
  map: {
    key: 'map',
    group: 'Cluster',
    kind: mapKind,
    isRepeatable: true,
    fallback: () => undefined,
    defaultText: '/ and --ufs',
    doc: 'A cluster with several under stores: which lies below which path, exactly as the cluster has it. Given once for each, or as a list with commas; the longest path counts. Without a mount at / (Alluxio Enterprise has none) such a cluster is mounted with --read-only. --ufs is the mount at /. cluster: as its workers tell it (/v1/ufsInfo, Enterprise); the table is followed.',
  },
  mapRefreshMs: {
    key: 'map-refresh',
    group: 'Cluster',
    kind: durationKind({ min: SECOND, max: DAY }),
    fallback: () => 120 * SECOND,
    doc: 'With `--map cluster`: how often the workers are asked whether something was mounted or unmounted. Also asked at once when a worker names another place than the table.',
  },
  pathRulesFile: {
    key: 'path-rules',
    group: 'Cluster',
    kind: pathKind,
    fallback: () => undefined,
    defaultText: 'none',
    isPath: true,
    doc: 'JSON file with the virtual path mapping of Alluxio Enterprise, {"rules":[{"src":"^/v/(.*)$","dst":"/real/{{ var1 }}"}],"virtualDirectories":["/v"]}: names are turned into paths of the cluster before anything else. The first rule that matches the whole path counts, in the syntax of RE2. For reading: needs --read-only.',
  },
  membershipRefreshMs: {
    key: 'membership-refresh',
    group: 'Cluster',
    kind: durationKind({ min: SECOND, max: HOUR }),
    properties: ['alluxio.user.worker.list.refresh.interval'],
    fallback: () => 30 * SECOND,
    doc: 'How often the list of workers is read again, beside watching it.',
  },
  requestTimeoutMs: {
    key: 'request-timeout',
    group: 'Deadlines and fallback',
    kind: durationKind({ min: SECOND, max: HOUR }),
    fallback: () => 60 * SECOND,
    doc: 'Deadline of one request of a program, over all retries at other workers. After it the program gets an error.',
  },
  connectTimeoutMs: {
    key: 'connect-timeout',
    group: 'Deadlines and fallback',
    kind: durationKind({ min: 50, max: 60 * SECOND }),
    fallback: () => 3 * SECOND,
    doc: 'Deadline for a connection to a worker; the next worker is tried after it. At most `--request-timeout`.',
  },
  underStoreFallback: {
    key: 'under-store-fallback',
    group: 'Deadlines and fallback',
    kind: fallbackKind,
    properties: ['alluxio.dora.client.ufs.fallback.enabled'],
    fallback: () => 'auto',
    doc: 'Whether to read from the under store itself what no worker can serve. auto does so where the under store can be reached from this machine: a file:// root, a bucket or HDFS (see docs/under-stores.md).',
  },
  underStoreFallbackRate: {
    key: 'under-store-fallback-rate',
    group: 'Deadlines and fallback',
    kind: integerKind({ min: 1, max: 1_000_000 }),
    fallback: () => 200,
    doc: 'Reads a second that may go to the under store, so that a dead cluster does not become a stampede upon it.',
  },
  ...s3Options,
  memoryLimitBytes: {
    key: 'memory-limit',
    group: 'Cache',
    // Node 20 allocates a shared buffer of tens of GiB; the machine's memory is the real bound.
    kind: sizeKind({ min: 16 * MB, max: TB }),
    fallback: () => 512 * MB,
    doc: 'Memory for pages of files, taken once and never exceeded. At least four pages.',
  },
  ...cacheOptions,
  maxReadAheadBytes: {
    key: 'max-read-ahead',
    group: 'Cache',
    kind: sizeKind({ min: 0, max: GB }),
    properties: ['alluxio.user.position.reader.streaming.prefetch.max.size'],
    fallback: () => 16 * MB,
    doc:
      'How far one open file may be read ahead; and how much of the next small files of a directory ' +
      'whose files are read in order. 0 switches read-ahead off.',
  },
  attrTimeoutMs: {
    key: 'attr-timeout',
    group: 'Cache',
    kind: cacheTimeKind,
    fallback: () => 60 * SECOND,
    doc: "How long the attributes of a file are believed, here and in the kernel; 0 asks every time. Alluxio's own FUSE uses 600 seconds.",
  },
  entryTimeoutMs: {
    key: 'entry-timeout',
    group: 'Cache',
    kind: cacheTimeKind,
    fallback: () => 60 * SECOND,
    doc: "How long a name in a directory is believed to exist. Alluxio's own FUSE uses 600 seconds.",
  },
  negativeTimeoutMs: {
    key: 'negative-timeout',
    group: 'Cache',
    kind: cacheTimeKind,
    fallback: () => 5 * SECOND,
    doc: 'How long a name is believed not to exist.',
  },
  trustListings: {
    key: 'trust-listings',
    group: 'Cache',
    kind: booleanKind,
    fallback: () => false,
    doc: 'Take a name that a listing of its directory lacks for missing, without asking for it: a round trip saved for every missing name. Right for data that nobody changes; open-source workers keep listings for two days and renew them only after some writes, so new files of other clients may seem missing.',
  },
  maxInodes: {
    key: 'max-inodes',
    group: 'Cache',
    kind: integerKind({ min: 1000, max: 100_000_000 }),
    fallback: () => 2_000_000,
    doc: 'Files and directories remembered at once. Over it, the kernel is asked to forget those that are not open.',
  },
  immutable: {
    key: 'immutable',
    group: 'Cache',
    kind: booleanKind,
    fallback: () => false,
    doc: 'The data does not change as long as it is mounted: the mount is read-only, names, attributes and pages that the kernel holds are believed without end, whatever the timeouts say, and opening a file that it knows costs no message. A file that is found changed all the same is reported, and whoever still reads it gets ESTALE.',
  },
  uid: {
    key: 'uid',
    group: 'Files and permissions',
    kind: idKind,
    fallback: ({ uid }) => uid,
    defaultText: 'of the mounting process',
    doc: 'User to whom all files belong.',
  },
  gid: {
    key: 'gid',
    group: 'Files and permissions',
    kind: idKind,
    fallback: ({ gid }) => gid,
    defaultText: 'of the mounting process',
    doc: 'Group to which all files belong.',
  },
  fileMode: {
    key: 'file-mode',
    group: 'Files and permissions',
    kind: modeKind,
    fallback: () => 0o644,
    doc: 'Permission bits of files where the cluster tells none.',
  },
  dirMode: {
    key: 'dir-mode',
    group: 'Files and permissions',
    kind: modeKind,
    fallback: () => 0o755,
    doc: 'Permission bits of directories where the cluster tells none.',
  },
  allowOther: {
    key: 'allow-other',
    group: 'Files and permissions',
    kind: booleanKind,
    fallback: ({ uid }) => uid === 0,
    defaultText: 'true for root, else false',
    doc: 'Whether users other than the mounting one may use the mount. Not as root, it needs `user_allow_other` in /etc/fuse.conf.',
  },
  defaultPermissions: {
    key: 'default-permissions',
    group: 'Files and permissions',
    kind: booleanKind,
    fallback: () => true,
    doc: 'Whether the kernel checks owner and permission bits, as on any file system.',
  },
  readOnly: {
    key: 'read-only',
    group: 'Mount',
    kind: booleanKind,
    mountOptions: ['ro'],
    negativeMountOptions: ['rw'],
    fallback: () => false,
    doc: "Mount read-only: recommended for training data and whatever else is not to be changed. A mount is writable by default, as Alluxio's own FUSE mounts. The word `rw` is ignored where it comes from mount(8), which always adds it.",
  },
  writeMode: {
    key: 'write-mode',
    group: 'Mount',
    kind: choiceKind(['through', 'back']),
    fallback: () => 'through',
    doc: 'When close(2) and fsync(2) of a changed file return. through: when the under store has it. back: close(2) returns when the journal on the disk of this machine has it, and the upload follows; fsync(2) always waits for the under store.',
  },
  uploadStrategy: {
    key: 'upload-strategy',
    group: 'Mount',
    kind: choiceKind(['auto', 'rename', 'temporary-and-copy', 'single-put']),
    fallback: () => 'auto',
    doc: 'How a file gets its content under its name. rename: written into an under store that this machine reaches itself (a file:// root), and moved there: atomic; workers of open source only. temporary-and-copy: uploaded to a worker under a hidden name, checked, and copied to its name by the worker; an upload that is cut leaves the old content, but while the copy runs the file is missing for a moment. single-put: uploaded under its name; for under stores whose own PUT is atomic, such as S3, and refused for file://. auto: rename where it is possible, else temporary-and-copy.',
  },
  stagingDir: {
    key: 'staging-dir',
    group: 'Mount',
    kind: pathKind,
    fallback({ uid, env }) {
      if (uid === 0) return '/var/lib/alluxio-fuse';
      const data = env['XDG_STATE_HOME'];
      if (data !== undefined && data.startsWith('/')) return `${data}/alluxio-fuse`;
      const home = env['HOME'];
      if (home !== undefined && home.startsWith('/')) return `${home}/.local/state/alluxio-fuse`;
      return `/tmp/alluxio-fuse-staging-${uid}`;
    },
    defaultText:
      '/var/lib/alluxio-fuse for root, else $XDG_STATE_HOME/alluxio-fuse or ~/.local/state/alluxio-fuse',
    isPath: true,
    doc: 'Directory for what programs have written and the cluster does not have yet, with the journal. On a disk that survives a reboot.',
  },
  stagingLimitBytes: {
    key: 'staging-limit',
    group: 'Mount',
    kind: sizeKind({ min: 16 * MB, max: 1024 * TB }),
    fallback: () => 10 * GB,
    doc: 'Most bytes in --staging-dir; a write that would exceed it fails with "No space left on device".',
  },
  posixAttributes: {
    key: 'posix-attributes',
    group: 'Mount',
    kind: choiceKind(['auto', 'on', 'off']),
    fallback: () => 'auto',
    doc: 'Whether owner, mode, times, symbolic links and extended attributes are kept in a hidden file of each directory, since Alluxio cannot hold them. auto: where the mount is writable. off: such changes fail.',
  },
  driver: {
    key: 'driver',
    group: 'Mount',
    kind: choiceKind(['device', 'fuse-native']),
    fallback: () => 'device',
    doc: 'How to speak to the kernel: /dev/fuse itself (fast), or libfuse 2. Where the first cannot mount, the second is tried, with a log line.',
  },
  passthrough: {
    key: 'passthrough',
    group: 'Mount',
    kind: fallbackKind,
    fallback: () => 'auto',
    doc: 'Whether the kernel reads files that lie whole, and checked, in a --cache-dir by itself. auto: where kernel (Linux 6.9), privileges (CAP_SYS_ADMIN) and mount (--read-only, not --immutable) allow; `status` says whether, and why not.',
  },
  maxBackground: {
    key: 'max-background',
    group: 'Mount',
    kind: integerKind({ min: 1, max: 65535 }),
    mountOptions: ['max_background'],
    fallback: () => 128,
    doc: 'Requests of read-ahead and asynchronous I/O that the kernel may have under way at once.',
  },
  fsName: {
    key: 'fsname',
    group: 'Mount',
    kind: nameKind('a name without slashes, commas and blanks'),
    properties: ['alluxio.fuse.fs.name'],
    fallback: () => 'alluxio',
    doc: 'What df and /proc/mounts show as the source.',
  },
  stateDir: {
    key: 'state-dir',
    group: 'Running',
    kind: pathKind,
    fallback({ uid, env }) {
      if (uid === 0) return '/run/alluxio-fuse';
      const runtime = env['XDG_RUNTIME_DIR'];
      if (runtime !== undefined && runtime.startsWith('/')) return `${runtime}/alluxio-fuse`;
      return `/tmp/alluxio-fuse-${uid}`;
    },
    defaultText:
      '/run/alluxio-fuse for root, else $XDG_RUNTIME_DIR/alluxio-fuse or /tmp/alluxio-fuse-UID',
    isPath: true,
    doc: 'Directory for the control sockets and records of mounts.',
  },
  logLevel: {
    key: 'log-level',
    group: 'Running',
    kind: choiceKind(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']),
    fallback: () => 'info',
    doc: 'The least severe messages that are logged.',
  },
  logFile: {
    key: 'log-file',
    group: 'Running',
    kind: pathKind,
    fallback: () => undefined,
    defaultText: 'standard error with --foreground, else a file in the state directory',
    isPath: true,
    doc: 'File to which the log is appended, one JSON object a line.',
  },
  metricsHost: {
    key: 'metrics-host',
    group: 'Running',
    kind: textKind({ placeholder: 'HOST', allowed: 'a host or address', pattern: METRICS_NAME }),
    properties: ['alluxio.fuse.web.bind.host'],
    fallback: () => '127.0.0.1',
    doc: 'Address on which /metrics, /health and /ready are served. Anyone who reaches it can read them.',
  },
  metricsPort: {
    key: 'metrics-port',
    group: 'Running',
    kind: integerKind({ min: 0, max: 65535 }),
    properties: ['alluxio.fuse.web.port'],
    fallback: () => 49999,
    doc: "Port for the same; 0 switches them off. The default is that of Alluxio's own FUSE. Where the port is taken (a second mount), the mount comes up without them, with a warning.",
  },
};

/** Rows with their fields, in table order, without the types of their values. */
export interface AnyOption {
  readonly field: OptionField;
  readonly row: OptionRow<unknown>;
}

// A row of a known value type serves as one of unknown type only because `format` is called with
// what `parse` of the same row gave; that is the invariant of this list.
export const optionList: readonly AnyOption[] = Object.entries(options).map(([field, row]) => ({
  field: field as OptionField,
  row: row as OptionRow<unknown>,
}));

export const ENVIRONMENT_PREFIX = 'ALLUXIO_FUSE_';

export function environmentName(row: Pick<OptionRow<never>, 'key'>): string {
  return `${ENVIRONMENT_PREFIX}${row.key.toUpperCase().replaceAll('-', '_')}`;
}

/** All `-o` keys of an option, its own name first. */
export function mountOptionNames(row: Pick<OptionRow<never>, 'key' | 'mountOptions'>): string[] {
  return [...new Set([row.key.replaceAll('-', '_'), ...(row.mountOptions ?? [])])];
}

export function isFlagOnCommandLine(row: Pick<OptionRow<never>, 'isSecret'>): boolean {
  return row.isSecret !== true;
}

export function isBooleanOption(row: Pick<OptionRow<unknown>, 'kind'>): boolean {
  return row.kind === (booleanKind as ValueKind<unknown>);
}
