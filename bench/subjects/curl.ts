/**
 * curl at the worker itself: what a data path carries when no file system is in the way. One
 * process with many URLs, so that its start does not count; the owner of each path is known
 * beforehand, as it is to a mount.
 */
import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { byteStringOfText } from '../../src/base/byte-string.ts';
import { Ring } from '../../src/cluster/ring.ts';
import type { Worker } from '../../src/cluster/types.ts';
import { runCommand } from '../support/children.ts';
import { DATA_FOLDER } from '../support/data-set.ts';
import { medianOf } from '../support/figures.ts';
import type { Workload } from '../support/workload.ts';
import { VIRTUAL_NODES } from './clusters.ts';
import type { ClusterPlace } from './clusters.ts';
import type { CurlRequest, CurlSubject, CurlUrls } from './subject.ts';

const CURL_MS = 120_000;
/** The body away, so that only the time is left on standard output. */
const FIRST_BYTE_LINES = [
  'output = "/dev/null"',
  String.raw`write-out = "%{time_starttransfer}\n"`,
];

export function curlSubject(
  id: string,
  cluster: ClusterPlace,
  dataPath: CurlSubject['dataPath'],
  places: { readonly workload: Workload; readonly workDir: string },
): CurlSubject {
  const config = join(places.workDir, `${id}.curl`);
  const title = dataPath === 'page' ? 'curl, page endpoint' : 'curl, S3 port';
  return {
    kind: 'curl',
    id,
    title,
    detail:
      dataPath === 'page'
        ? `HTTP port of ${cluster.detail}, kept connections`
        : `S3 port of ${cluster.detail}, a connection for each request`,
    dataPath,
    urls: urlsOf(cluster),
    fetch: async (requests, atOnce) => {
      await writeFile(config, configOf(requests, dataPath, atOnce));
      return (await places.workload.command('curl', '-q', '--config', config)).seconds;
    },
    firstByte: async (requests) => {
      await writeFile(config, configOf(requests, dataPath, 1, FIRST_BYTE_LINES));
      const out = await runCommand('curl', ['-q', '--config', config], { timeoutMs: CURL_MS });
      return medianOf(out.trim().split('\n').map(Number));
    },
    stop: async () => {},
  };
}

/** Options are those of one transfer and start anew after `next`. */
function configOf(
  requests: readonly CurlRequest[],
  dataPath: CurlSubject['dataPath'],
  atOnce: number,
  extra: readonly string[] = [],
): string {
  const blocks = requests.map(({ url, range, upload }, i) =>
    [
      ...(dataPath === 's3' ? alone(url, i) : [`url = "${url}"`]),
      ...(range === undefined ? [] : [`range = "${range}"`]),
      ...(upload === undefined ? [] : [`upload-file = "${upload}"`]),
      'fail',
      ...extra,
    ].join('\n'),
  );
  const head = ['silent', 'show-error', 'fail-early'];
  if (atOnce > 1) head.push('parallel', `parallel-max = ${atOnce}`);
  return `${head.join('\n')}\n${blocks.join('\nnext\n')}\n`;
}

/**
 * A second answer on a connection of the S3 port has no head, and the worker does not say that it
 * should be closed. curl has no option for that either, but takes every name for another server.
 */
function alone(text: string, index: number): string[] {
  const url = new URL(text);
  const address = url.host;
  url.hostname = `request-${index}`;
  return [
    `url = "${url.href}"`,
    `connect-to = "${url.host}:${address}"`,
    `header = "Host: ${address}"`,
  ];
}

export function urlsOf(cluster: ClusterPlace): CurlUrls {
  const { info, workers } = cluster;
  const ring = new Ring(workers, { virtualNodes: VIRTUAL_NODES });
  const ufsPath = (path: string): string => `${info.ufs}/${DATA_FOLDER}/${path}`;
  const ownerOf = (path: string): Worker => ring.ownerOf(byteStringOfText(ufsPath(path))) as Worker;
  const fileId = (path: string): string => createHash('sha256').update(ufsPath(path)).digest('hex');
  const http = (path: string): string => {
    const { host, httpPort } = ownerOf(path);
    return `http://${host}:${httpPort}/v1`;
  };
  return {
    pageSizeBytes: info.pageSize,
    page: (path, index) => `${http(path)}/file/${fileId(path)}/page/${index}`,
    object: (path) => {
      const { host, s3Port } = ownerOf(path);
      return `http://${host}:${s3Port}/${DATA_FOLDER}/${path}`;
    },
    info: (path) => `${http(path)}/info?path=/${DATA_FOLDER}/${path}`,
    list: (path) => `${http(path)}/files?path=/${DATA_FOLDER}/${path}`,
  };
}
