/**
 * The two messages of every small file, as flat arrays: cloning one costs a third of what it costs as
 * objects in objects.
 */
import type { ByteString } from '../base/byte-string.ts';
import type { Job, JobId, JobResult } from '../vfs/index.ts';

type FetchJob = Extract<Job, { kind: 'fetch' }>;
type PageResult = Extract<JobResult, { kind: 'page' }>;

/** Behind these, for every page: its length, how many slots it has, and the slots. */
export type PackedFetch = readonly [
  id: JobId,
  path: ByteString,
  lengthBytes: number,
  mtimeMs: number,
  contentHash: string | undefined,
  firstPage: number,
  isAhead: boolean,
  mustAsk: boolean,
  ...pages: number[],
];

export type PackedPage = readonly [id: JobId, pageIndex: number];

export function packFetch(job: FetchJob): PackedFetch {
  const { id, path, version, firstPage, isAhead, mustAsk } = job;
  const { lengthBytes, mtimeMs, contentHash } = version;
  const pages: number[] = [];
  for (const page of job.pages) pages.push(page.lengthBytes, page.slots.length, ...page.slots);
  return [id, path, lengthBytes, mtimeMs, contentHash, firstPage, isAhead, mustAsk, ...pages];
}

export function isPackedFetch(message: object): message is PackedFetch {
  return Array.isArray(message);
}

export function unpackFetch(packed: PackedFetch): FetchJob {
  const [id, path, lengthBytes, mtimeMs, contentHash, firstPage, ...rest] = packed;
  const [isAhead, mustAsk, ...numbers] = rest;
  const pages: FetchJob['pages'][number][] = [];
  for (let at = 0; at < numbers.length;) {
    const [pageBytes = 0, count = 0] = [numbers[at], numbers[at + 1]];
    const slots = numbers.slice(at + 2, at + 2 + count);
    pages.push({ lengthBytes: pageBytes, slots });
    at += 2 + count;
  }
  const version = { lengthBytes, mtimeMs, contentHash };
  return { kind: 'fetch', id, path, version, firstPage, pages, isAhead, mustAsk };
}

export function packPage({ id, pageIndex }: PageResult): PackedPage {
  return [id, pageIndex];
}

export function isPackedPage(message: object): message is PackedPage {
  return Array.isArray(message);
}

export function unpackPage([id, pageIndex]: PackedPage): PageResult {
  return { kind: 'page', id, pageIndex };
}
