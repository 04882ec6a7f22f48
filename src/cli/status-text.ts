/** A status report as plain text for people. */
import { alignColumns } from '../config/index.ts';
import type { StatusCluster, StatusReport } from './daemon-api.ts';

/** Three significant digits: `1.5 MiB`, `110 KiB`, `12 B`. */
export function bytesText(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  const digits = unit === 0 || value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return `${value.toFixed(digits).replace(/\.0+$/, '')} ${units[unit]}`;
}

/** Whole seconds, with tenths below ten. */
export function ageText(ms: number): string {
  const seconds = ms / 1000;
  return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;
}

/** `2d 3h`, `3h 12min`, `12min 5s`, `5s`: the two largest units. */
export function uptimeText(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  const parts = [
    [Math.floor(seconds / 86_400), 'd'],
    [Math.floor(seconds / 3600) % 24, 'h'],
    [Math.floor(seconds / 60) % 60, 'min'],
    [seconds % 60, 's'],
  ] as const;
  const first = parts.findIndex(([count]) => count > 0);
  if (first < 0) return '0s';
  return parts
    .slice(first, first + 2)
    .filter(([count]) => count > 0)
    .map(([count, unit]) => `${count}${unit}`)
    .join(' ');
}

const count = (value: number): string => value.toLocaleString('en-US');
const plural = (value: number, one: string, many = `${one}s`): string =>
  `${count(value)} ${value === 1 ? one : many}`;

/** Names and messages come from outside: a line break in one must not look like a line of ours. */
const printable = (text: string): string =>
  // oxlint-disable-next-line no-control-regex
  text.replace(/[\x00-\x1f\x7f]/g, (char) => JSON.stringify(char).slice(1, -1));

export function statusText(report: StatusReport): string {
  const { cache, inodes, cluster } = report;
  const asked = cache.hits + cache.misses;
  const hitShare = asked === 0 ? '' : ` (${Math.round((100 * cache.hits) / asked)} % hits)`;
  const daemon = report.daemonPid === undefined ? 'no daemon' : `daemon ${report.daemonPid}`;
  const rows = [
    ['state', `${report.state}, up ${uptimeText(report.uptimeMs)}, ${restarts(report.restarts)}`],
    ['processes', `supervisor ${report.supervisorPid}, ${daemon}`],
    ['kernel', kernelText(report)],
    ...clusterRows(cluster),
    [
      'cache',
      `${bytesText(cache.slotsUsed * cache.slotBytes)} of ${bytesText(cache.memoryLimitBytes)} used, ${plural(cache.hits, 'hit')}, ${plural(cache.misses, 'miss', 'misses')}${hitShare}`,
    ],
    [
      'read-ahead',
      `${bytesText(cache.readAheadBytes)} read ahead, ${bytesText(cache.wastedBytes)} of it never used`,
    ],
    ['inodes', `${count(inodes.known)} known, ${plural(inodes.openHandles, 'open handle')}`],
  ];
  const sections = [
    printable(report.mountpoint),
    indent(alignColumns(rows)),
    ...workerSection(cluster),
    ...errorSection(report),
  ];
  return sections.join('\n');
}

/** What is not known is left out. */
function kernelText({ driver, fuse }: StatusReport): string {
  return [
    `driver ${driver}`,
    ...(fuse.protocol === '' ? [] : [`protocol ${fuse.protocol}`]),
    ...(fuse.maxWriteBytes === 0 ? [] : [`requests of ${bytesText(fuse.maxWriteBytes)}`]),
    ...(fuse.readAheadKb === 0 ? [] : [`read-ahead ${bytesText(fuse.readAheadKb * 1024)}`]),
    `${plural(fuse.requestsTotal, 'request')} so far`,
  ].join(', ');
}

const restarts = (value: number): string =>
  value === 0 ? 'never restarted' : `restarted ${plural(value, 'time')}`;

function clusterRows(cluster: StatusCluster | undefined): string[][] {
  if (cluster === undefined) return [['cluster', 'not known: the daemon does not answer']];
  const { view } = cluster;
  const page = `pages of ${bytesText(cluster.pageSizeBytes)}`;
  const rows = [
    [
      'cluster',
      `${printable(cluster.source)}, ${plural(view.workers.length, 'worker')}, seen ${ageText(cluster.viewAgeMs)} ago, generation ${view.generation}`,
    ],
    [
      'ring',
      `${plural(cluster.virtualNodes, 'virtual node')} a worker (${cluster.virtualNodesFrom}), ${page}`,
    ],
    ['under store', `fallback ${cluster.underStoreFallback}`],
  ];
  if (cluster.ufsRootMismatch !== undefined) {
    rows.push(['WARNING', `wrong --ufs: ${printable(cluster.ufsRootMismatch)}`]);
  }
  if (cluster.pageSizeMismatch !== undefined) {
    rows.push(['WARNING', `wrong page size: ${printable(cluster.pageSizeMismatch)}`]);
  }
  return rows;
}

function workerSection(cluster: StatusCluster | undefined): string[] {
  if (cluster === undefined || cluster.workers.length === 0) return [];
  const rows = cluster.workers.map((worker) => [
    printable(worker.host),
    String(worker.httpPort),
    String(worker.s3Port),
    worker.personality ?? 'unknown',
    worker.breaker,
    printable(worker.id),
    printable(worker.lastError ?? ''),
  ]);
  const head = ['HOST', 'HTTP', 'S3', 'KIND', 'BREAKER', 'ID', 'LAST ERROR'];
  return ['', '  Workers', indent(alignColumns([head, ...rows]))];
}

function errorSection(report: StatusReport): string[] {
  if (report.lastErrors.length === 0) return [];
  const rows = report.lastErrors.map((error) => [
    error.atIso,
    error.code,
    `${error.count} ×`,
    printable(error.path ?? '-'),
    printable(error.reason),
  ]);
  return ['', '  Last errors', indent(alignColumns(rows))];
}

function indent(text: string): string {
  return text.replace(/^/gm, '  ');
}
