/** `alluxio-fuse info`: what a client sees of a cluster. */
import type { Command } from 'commander';
import { alignColumns, formatConfig } from '../config/index.ts';
import { EXIT_CODES } from './context.ts';
import type { CliContext } from './context.ts';
import { printable } from './fs-print.ts';
import {
  addClusterFlags,
  inspect,
  onCluster,
  tellProblems,
  type Finish,
  type SessionFlags,
} from './fs-session.ts';

export function addInfoCommands(program: Command, context: CliContext, finish: Finish): void {
  const group = program
    .command('info')
    .summary('show members, ring, mounts and properties of a cluster')
    .description('Show what a client sees of a cluster.');

  const members = group.command('members').summary('workers, and whether they are active');
  onCluster(members, context, finish, async (session) => {
    const health = await session.fs.client.health({ signal: session.signal });
    session.print(health, () =>
      alignColumns([
        ['worker', 'host', 'http', 'state', 'kind', 'ms'],
        ...health.map(({ worker, host, httpPort, isActive, personality, latencyMs, reason }) => [
          worker,
          host,
          String(httpPort),
          isActive ? 'active' : (reason ?? 'away'),
          personality ?? '?',
          String(latencyMs),
        ]),
      ]),
    );
    return health.length > 0 && health.every(({ isActive }) => isActive)
      ? EXIT_CODES.ok
      : EXIT_CODES.failure;
  });

  const ring = group.command('ring').summary('the hash ring, and where it comes from');
  onCluster(ring, context, finish, async (session) => {
    const status = await session.fs.client.statusNow({ signal: session.signal });
    session.print(status, () => [
      `members from: ${status.source}`,
      `workers: ${status.view.workers.length}, view ${status.view.generation}`,
      `virtual nodes: ${status.virtualNodes} (${status.virtualNodesFrom})`,
      `page size: ${status.pageSizeBytes}`,
      `under store: ${status.underStoreFallback}`,
    ]);
    return undefined;
  });

  const mounts = group.command('mounts').summary('which under store lies below which path');
  onCluster(mounts, context, finish, async (session) => {
    const table = session.fs.client.mounts();
    const from = session.config.mountsFrom;
    session.print({ from, mounts: table }, () =>
      alignColumns([
        ['path', `under store (told by the ${from})`],
        ...table.map(({ path, ufs }) => [printable(path), printable(ufs)]),
      ]),
    );
    return Promise.resolve(undefined);
  });

  const properties = group
    .command('properties')
    .summary('every option, and where its value is from');
  const flagsOf = addClusterFlags(properties);
  properties.action(() => {
    const { json, property = [] } = properties.opts<SessionFlags>();
    const inspection = inspect(context, flagsOf(), property);
    context.out(formatConfig(inspection, json === true ? 'json' : 'table'));
    tellProblems(context, json === true, inspection.problems);
    finish(inspection.problems.length === 0 ? EXIT_CODES.ok : EXIT_CODES.usage);
  });
}
