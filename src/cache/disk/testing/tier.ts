/** A disk tier over a temporary directory, and the content that tests put into it. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { ByteString } from '../../../base/byte-string.ts';
import type { ContentVersion } from '../cache-key.ts';
import { DiskTier } from '../disk-tier.ts';
import type { DiskTierOptions } from '../disk-tier.ts';
import type { DiskEvents } from '../types.ts';

export const PAGE = 4096;
export const MIB = 1024 * 1024;

export interface Told extends DiskEvents {
  readonly lines: string[];
}

/** Writes down what it is told. */
export function tellEvents(): Told {
  const lines: string[] = [];
  return {
    lines,
    failed: (_, operation, error) => lines.push(`failed ${operation}: ${error.message}`),
    corrupt: (_, reason) => lines.push(`corrupt: ${reason}`),
    retired: (_, reason) => lines.push(`retired: ${reason}`),
  };
}

export async function makeDirectory(context: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'disk-tier-'));
  context.after(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

export async function openTier(
  directories: readonly string[],
  options: Partial<DiskTierOptions> = {},
): Promise<DiskTier> {
  const tier = await DiskTier.open({
    directories,
    limitBytes: 64 * MIB,
    freeSpace: { bytes: 0 },
    pageSizeBytes: PAGE,
    place: 'test',
    holder: { pid: process.pid },
    isForgiving: false,
    events: tellEvents(),
    ...options,
  });
  await tier.loaded();
  return tier;
}

export interface TestFile {
  readonly path: ByteString;
  readonly version: ContentVersion;
}

export function fileOf(name: string, lengthBytes: number, mtimeMs = 1): TestFile {
  return { path: `/${name}` as ByteString, version: { lengthBytes, mtimeMs } };
}

export const pagesOf = ({ version }: TestFile): number => Math.ceil(version.lengthBytes / PAGE);

/** Other bytes for each version, page and place in it. */
export function pageBytes(file: TestFile, index: number): Buffer {
  const { lengthBytes, mtimeMs } = file.version;
  const bytes = Buffer.alloc(Math.min(PAGE, lengthBytes - index * PAGE));
  const seed = `${file.path} ${mtimeMs} ${index} `;
  bytes.fill(seed);
  return bytes;
}

/** Keeps the pages, and waits until they are on disk. */
export async function keep(
  tier: DiskTier,
  file: TestFile,
  pages: readonly number[],
): Promise<void> {
  const content = tier.contentOf(file.path, file.version);
  assert.ok(content !== undefined);
  const copies = pages.map((index) => content.copy(index, [pageBytes(file, index)]));
  await content.keep(copies.filter((copy) => copy !== undefined));
}

/** What the tier gives of the pages; undefined for what it does not have. */
export async function readPages(
  tier: DiskTier,
  file: TestFile,
  pages: readonly number[],
): Promise<(Buffer | undefined)[]> {
  const content = tier.contentOf(file.path, file.version);
  const found: (Buffer | undefined)[] = [];
  for (const index of pages) {
    const memory = Buffer.alloc(pageBytes(file, index).length);
    const isThere = content?.has(index) === true;
    const [isRight] = isThere ? await content.read(index, [[memory]]) : [false];
    found.push(isRight === true ? memory : undefined);
  }
  return found;
}

export const allPages = (file: TestFile): number[] =>
  Array.from({ length: pagesOf(file) }, (_, index) => index);

/** Whether all is there; fails where anything but the right bytes came. */
export async function isServed(tier: DiskTier, file: TestFile): Promise<boolean> {
  const pages = await readPages(tier, file, allPages(file));
  for (const [index, page] of pages.entries()) {
    if (page !== undefined) assert.deepEqual(page, pageBytes(file, index), 'wrong bytes');
  }
  return !pages.includes(undefined);
}

/** Backing files, by full path. */
export function backingFiles(directory: string): string[] {
  const files = join(directory, 'alluxio-fuse-cache', 'files');
  return readdirSync(files, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name));
}
