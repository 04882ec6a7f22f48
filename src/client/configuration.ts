/** The options of the library, through the table of options that the mount has: one set of rules for both. */
import { readFileSync } from 'node:fs';
import { formatProblem, inspectConfig } from '../config/index.ts';
import type { ConfigInspection, MountConfig, OptionField } from '../config/index.ts';
import { AlluxioError } from './errors.ts';
import type { ClientOptions, TargetProtocol } from './types.ts';

/** No mount point is used; the table wants one all the same. */
const NOWHERE = '/';

/** Which under store each of them is spoken to as. */
const KINDS: Readonly<Record<Exclude<TargetProtocol, 'none'>, 'file' | 's3' | 'hdfs'>> = {
  file: 'file',
  s3: 's3',
  s3a: 's3',
  s3n: 's3',
  minio: 's3',
  oss: 's3',
  cos: 's3',
  cosn: 's3',
  gs: 's3',
  gcs: 's3',
  hdfs: 'hdfs',
  webhdfs: 'hdfs',
  swebhdfs: 'hdfs',
};

function kindOf(scheme: string): string | undefined {
  return Object.hasOwn(KINDS, scheme) ? KINDS[scheme as keyof typeof KINDS] : undefined;
}

const joined = (value: string | readonly string[]): string =>
  typeof value === 'string' ? value : value.join(',');

function mapOf(mounts: ClientOptions['mounts']): string | undefined {
  if (mounts === undefined || mounts === 'cluster') return mounts;
  return joined(Object.entries(mounts).map(([path, uri]) => `${path}=${uri}`));
}

/** The texts of flags that say the same. */
function flagsOf(options: ClientOptions): Partial<Record<OptionField, string>> {
  const flags: Partial<Record<OptionField, string>> = {};
  const set = (field: OptionField, value: string | number | undefined): void => {
    if (value !== undefined) flags[field] = String(value);
  };
  const { etcdHosts, workerHosts, requestTimeoutMs, connectTimeoutMs, targetProtocol } = options;
  if (etcdHosts !== undefined) set('etcdHosts', joined(etcdHosts));
  if (workerHosts !== undefined) set('workerHosts', joined(workerHosts));
  set('etcdPort', options.etcdPort);
  set('etcdUsername', options.etcdUsername);
  set('workerHttpPort', options.workerHttpPort);
  set('workerS3Port', options.workerS3Port);
  set('clusterName', options.clusterName);
  set('ufs', options.ufs);
  set('map', mapOf(options.mounts));
  set('pathRulesFile', options.pathRules);
  set('pageSizeBytes', options.pageSize);
  set('virtualNodes', options.virtualNodes);
  set('routing', options.routing);
  set('stagingDir', options.stagingDir);
  if (requestTimeoutMs !== undefined) set('requestTimeoutMs', `${requestTimeoutMs}ms`);
  if (connectTimeoutMs !== undefined) set('connectTimeoutMs', `${connectTimeoutMs}ms`);
  if (targetProtocol === 'none') set('underStoreFallback', 'off');
  const { endpoint, region, pathStyle, anonymous, profile } = options.targetOptions ?? {};
  set('s3Endpoint', endpoint);
  set('s3Region', region);
  if (pathStyle !== undefined) set('s3PathStyle', pathStyle ? 'on' : 'off');
  if (anonymous !== undefined) set('s3Anonymous', String(anonymous));
  set('s3Profile', profile);
  return flags;
}

export function inspectOptions(options: ClientOptions): ConfigInspection {
  const { etcdPassword, env = process.env } = options;
  const secret = etcdPassword === undefined ? {} : { ALLUXIO_FUSE_ETCD_PASSWORD: etcdPassword };
  return inspectConfig({
    mountpoint: NOWHERE,
    flags: flagsOf(options),
    mountOptions: [],
    properties: Object.entries(options.options ?? {}).map(([name, value]) => `${name}=${value}`),
    env: { ...env, ...secret },
    cwd: process.cwd(),
    uid: process.getuid?.() ?? 0,
    gid: process.getgid?.() ?? 0,
    readText: (path) => readFileSync(path, 'utf8'),
  });
}

const KNOWN: Readonly<Record<keyof ClientOptions, true>> = {
  etcdHosts: true,
  etcdPort: true,
  etcdUsername: true,
  etcdPassword: true,
  workerHosts: true,
  workerHttpPort: true,
  workerS3Port: true,
  clusterName: true,
  ufs: true,
  mounts: true,
  pathRules: true,
  pageSize: true,
  virtualNodes: true,
  routing: true,
  options: true,
  preloadPath: true,
  targetProtocol: true,
  targetOptions: true,
  concurrency: true,
  requestTimeoutMs: true,
  connectTimeoutMs: true,
  stagingDir: true,
  logger: true,
  env: true,
};

/** Throws an error that names every problem. */
export function configurationOf(options: ClientOptions): MountConfig {
  const unknown = Object.keys(options).find((name) => !Object.hasOwn(KNOWN, name));
  if (unknown !== undefined) {
    throw new AlluxioError('configuration', `There is no option "${unknown}"`);
  }
  const { targetProtocol } = options;
  const kind = targetProtocol === undefined ? undefined : kindOf(targetProtocol);
  if (targetProtocol !== undefined && targetProtocol !== 'none' && kind === undefined) {
    const known = Object.keys(KINDS).join(', ');
    const reason = `There is no under store for targetProtocol "${targetProtocol}"; use one of ${known}, none`;
    throw new AlluxioError('unsupported', reason);
  }
  const { config, problems } = inspectOptions(options);
  if (config === undefined) {
    throw new AlluxioError('configuration', problems.map(formatProblem).join('; '));
  }
  const roots = config.mounts.map(({ ufs }) => ufs);
  if (
    kind !== undefined &&
    roots.length > 0 &&
    !roots.some((ufs) => kindOf(schemeOf(ufs)) === kind)
  ) {
    const reason = `targetProtocol "${targetProtocol}" is not that of the under store: ${roots.join(', ')}`;
    throw new AlluxioError('configuration', reason);
  }
  return config;
}

function schemeOf(uri: string): string {
  return uri.split(':', 1)[0] ?? '';
}
