import { resolve } from 'node:path';
import { Option } from 'commander';
import type { Command } from 'commander';
import { parseSize, ValueError } from '../../config/index.ts';
import { EXIT_CODES, UsageError } from '../context.ts';
import type { CliContext, ExitCode } from '../context.ts';
import type { DevclusterOptions } from '../daemon-api.ts';
import { collect } from '../repeated.ts';

/** Each worker is a server in one process: more than these say nothing that these do not. */
const WORKERS_MAX = 100;
const VIRTUAL_NODES_MAX = 10_000;
const PORT_MAX = 65_535;
/** The signal that ended a child may be on its way to this process, too. */
const LOSS_GRACE_MS = 200;

interface DevclusterFlags {
  readonly workers: string;
  readonly data?: string;
  readonly map?: readonly string[];
  readonly pageSize: string;
  readonly personality: DevclusterOptions['personality'];
  readonly etcdHosts?: string;
  readonly clusterName?: string;
  readonly virtualNodes?: string;
  readonly s3Port?: string;
}

export function addDevclusterCommand(
  program: Command,
  context: CliContext,
  finish: (code: ExitCode) => void,
): void {
  program
    .command('devcluster')
    .summary('run a small cluster on this machine, to try things out')
    .description(
      'Run a real etcd and workers that serve a directory. Prints one line of JSON when ready; stays until Ctrl-C.',
    )
    .option('--workers <NUMBER>', 'number of workers', '3')
    .option('--data <DIR>', 'directory to serve (default: a new one)')
    .option(
      '--map <PATH=DIR>',
      'directory to serve below PATH, and nothing at /; may be repeated',
      collect,
    )
    .option('--page-size <SIZE>', 'page size of the workers', '1MB')
    .addOption(
      new Option('--personality <WHICH>', 'which Alluxio the workers behave as')
        .choices(['oss', 'enterprise'])
        .default('oss'),
    )
    .option('--etcd-hosts <HOST:PORT>', 'an etcd that runs already (default: start one)')
    .option('--cluster-name <NAME>', 'name under which the workers register')
    .option('--virtual-nodes <NUMBER>', 'virtual nodes of each worker on the ring')
    .option('--s3-port <NUMBER>', 'S3 port of all workers, each on its own address (default: any)')
    .action(async (flags: DevclusterFlags) => {
      const options = devclusterOptions(flags, context.cwd);
      let isStopping = false;
      const untilStopped = async (): Promise<void> => {
        await context.untilStopped();
        isStopping = true;
      };
      const stopped = untilStopped();
      const devcluster = await context.loadDevcluster();
      const onLoss = (what: string): void => {
        // Ctrl-C in a terminal reaches all of them at once: their end is then no news.
        setTimeout(() => {
          if (!isStopping) context.err(`alluxio-fuse: ${what}`);
        }, LOSS_GRACE_MS);
      };
      const cluster = await devcluster.startDevcluster({ ...options, onLoss });
      try {
        context.out(JSON.stringify(cluster.info));
        await stopped;
      } finally {
        await cluster.stop();
      }
      finish(EXIT_CODES.ok);
    });
}

function devclusterOptions(flags: DevclusterFlags, cwd: string): DevclusterOptions {
  const { data, map, etcdHosts, clusterName, virtualNodes, s3Port } = flags;
  if (map !== undefined && data !== undefined) throw new UsageError('--map excludes --data');
  return {
    workers: integer('--workers', flags.workers, WORKERS_MAX),
    pageSizeBytes: size('--page-size', flags.pageSize),
    personality: flags.personality,
    ...(data === undefined ? {} : { dataDir: resolve(cwd, data) }),
    ...(map === undefined
      ? {}
      : { mounts: Object.fromEntries(map.map((text) => mountOf(text, cwd))) }),
    ...(etcdHosts === undefined ? {} : { etcdHosts }),
    ...(clusterName === undefined ? {} : { clusterName }),
    ...(virtualNodes === undefined
      ? {}
      : { virtualNodes: integer('--virtual-nodes', virtualNodes, VIRTUAL_NODES_MAX) }),
    ...(s3Port === undefined ? {} : { s3Port: integer('--s3-port', s3Port, PORT_MAX) }),
  };
}

function mountOf(text: string, cwd: string): [string, string] {
  const [, path = '', dir = ''] = /^(\/[^/=]+)=(.+)$/.exec(text) ?? [];
  if (path === '') throw new UsageError(`--map: "${text}" is not like /NAME=DIR`);
  return [path, resolve(cwd, dir)];
}

function integer(flag: string, text: string, max: number): number {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  if (value < 1 || value > max) {
    throw new UsageError(`${flag}: "${text}" is not a whole number from 1 to ${max}`);
  }
  return value;
}

function size(flag: string, text: string): number {
  try {
    const bytes = parseSize(text);
    if (bytes > 0) return bytes;
  } catch (error) {
    if (!(error instanceof ValueError)) throw error;
  }
  throw new UsageError(`${flag}: "${text}" is not a size such as 1MB`);
}
