/** A status report as plain text for people. */
import { alignColumns } from '../config/index.ts';
import type { StatusCluster, StatusReport } from './daemon-api.ts';
import { ageText, bytesText, count, plural, printable, uptimeText } from './words.ts';
import { writeRows } from './write-text.ts';

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
  ];
  // A daemon that does not answer has no figures; zeros would say something else.
  if (cluster !== undefined) {
    rows.push(
      [
        'cache',
        `${bytesText(cache.slotsUsed * cache.slotBytes)} of ${bytesText(cache.memoryLimitBytes)} used, ${plural(cache.hits, 'hit')}, ${plural(cache.misses, 'miss', 'misses')}${hitShare}`,
      ],
      [
        'read-ahead',
        `${bytesText(cache.readAheadBytes)} read ahead, ${bytesText(cache.wastedBytes)} of it never used`,
      ],
      ...diskRows(report.diskCache),
      ...passthroughRows(report),
      ...writeRows(report.writes),
      ['inodes', `${count(inodes.known)} known, ${plural(inodes.openHandles, 'open handle')}`],
    );
  }
  const sections = [
    printable(report.mountpoint),
    indent(alignColumns(rows)),
    ...workerSection(cluster),
    ...errorSection(report),
  ];
  return sections.join('\n');
}

function diskRows(disk: StatusReport['diskCache']): string[][] {
  if (disk === undefined) return [];
  const { hitPages, missedPages, readBytes, writtenBytes, corruptFiles, notKeptPages } =
    disk.figures;
  const reasons = Object.entries(notKeptPages).filter(([, pages]) => pages > 0);
  const notKept = reasons.map(([reason, pages]) => `${plural(pages, 'page')} (${reason})`);
  const corrupt = corruptFiles === 0 ? '' : `, ${plural(corruptFiles, 'corrupt file')} removed`;
  return [
    [
      'disk cache',
      `${plural(hitPages, 'hit')}, ${plural(missedPages, 'miss', 'misses')}, ${bytesText(readBytes)} read, ${bytesText(writtenBytes)} written${corrupt}`,
    ],
    ...(notKept.length === 0 ? [] : [['', `fetched and not kept: ${notKept.join(', ')}`]]),
    ...disk.directories.map((directory) => {
      const { state, reason, usedBytes, limitBytes, files, pages } = directory;
      const why = reason === undefined ? '' : `: ${printable(reason)}`;
      return [
        '',
        `${printable(directory.directory)}: ${state}${why}, ${bytesText(usedBytes)} of ${bytesText(limitBytes)}, ${plural(files, 'file')}, ${plural(pages, 'page')}`,
      ];
    }),
  ];
}

function passthroughRows({ passthrough }: StatusReport): string[][] {
  if (passthrough === undefined) return [];
  const { state, reason, opens, fallbacks } = passthrough;
  const why = reason === undefined ? '' : `: ${printable(reason)}`;
  const figures =
    opens + fallbacks === 0 ? '' : `, ${plural(opens, 'open')}, ${plural(fallbacks, 'fallback')}`;
  return [['passthrough', `${state}${why}${figures}`]];
}

/** What is not known is left out. */
function kernelText({ driver, fuse, cluster }: StatusReport): string {
  return [
    `driver ${driver}`,
    ...(fuse.protocol === '' ? [] : [`protocol ${fuse.protocol}`]),
    ...(fuse.maxWriteBytes === 0 ? [] : [`requests of ${bytesText(fuse.maxWriteBytes)}`]),
    ...(fuse.readAheadKb === 0 ? [] : [`read-ahead ${bytesText(fuse.readAheadKb * 1024)}`]),
    ...(cluster === undefined ? [] : [`${plural(fuse.requestsTotal, 'request')} so far`]),
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
    ['under store', underStoreText(cluster)],
  ];
  if (cluster.ufsRootMismatch !== undefined) {
    rows.push(['WARNING', `wrong under store: ${printable(cluster.ufsRootMismatch)}`]);
  }
  if (cluster.pageSizeMismatch !== undefined) {
    rows.push(['WARNING', `wrong page size: ${printable(cluster.pageSizeMismatch)}`]);
  }
  return rows;
}

function underStoreText({ underStoreFallback, underStoreProblem }: StatusCluster): string {
  const why = underStoreProblem === undefined ? '' : `: ${printable(underStoreProblem)}`;
  return `fallback ${underStoreFallback}${why}`;
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
