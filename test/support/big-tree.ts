/**
 * A tree of many files for tests that read all of it: small and large, empty ones, deep
 * directories, one of thousands of entries, a git repository, and text to search for. Names, sizes
 * and bytes follow from the numbers alone. Times are whole seconds, and differ.
 */
import { mkdir, open, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { output } from './run.ts';
import { sampleBytes } from './tree.ts';

export interface BigTreeSpec {
  /** Entries of the one large directory. */
  readonly wideFiles: number;
  /** Files in directories of up to `depth` levels. */
  readonly deepFiles: number;
  readonly depth: number;
  readonly largeFiles: number;
  readonly largeBytes: number;
}

/** At least 20,000 files and 2 GB. */
const FULL_TREE: BigTreeSpec = {
  wideFiles: 10_000,
  deepFiles: 10_000,
  depth: 12,
  largeFiles: 4,
  largeBytes: 500_000_000,
};

const SMALL_TREE: BigTreeSpec = {
  wideFiles: 1_200,
  deepFiles: 800,
  depth: 12,
  largeFiles: 2,
  largeBytes: 40_000_000,
};

/**
 * A full tree takes some ten minutes a configuration, which is too long for every run: it is read
 * with `ALLUXIO_FUSE_TEST_FULL_TREES=1` (and one file at a time, by hand: it may outlast the limit
 * that bin/test puts on a file).
 */
export function treeOf(): { readonly spec: BigTreeSpec; readonly label: string } {
  return process.env['ALLUXIO_FUSE_TEST_FULL_TREES'] === '1'
    ? { spec: FULL_TREE, label: 'full tree' }
    : { spec: SMALL_TREE, label: 'smaller tree' };
}

/** In one in a hundred small files, for grep. */
export const MARKER = 'a needle in the hay';

const BLOCK_BYTES = 1024 * 1024;
/** Every sector names its file and place, so that a page of another file or offset shows. */
const SECTOR_BYTES = 4096;
const FILES_AT_ONCE = 32;
const FIRST_SECOND = 1_700_000_000;

const WIDE = 'wide';
const DEEP = 'deep';
const LARGE = 'large';

/** Makes the tree in an existing directory. */
export async function makeBigTree(root: string, spec: BigTreeSpec): Promise<void> {
  const base = sampleBytes(2 * BLOCK_BYTES, 42);
  await mkdir(join(root, WIDE));
  const files: { path: string; lengthBytes: number }[] = [];
  for (let i = 0; i < spec.wideFiles; i++) {
    files.push({ path: `${WIDE}/entry-${i}.dat`, lengthBytes: (i * 37) % 6000 });
  }
  for (let i = 0; i < spec.deepFiles; i++) {
    const dir = deepDirectory(i, spec.depth);
    // Mostly small, some over the small page size, one in seven empty.
    const lengthBytes = i % 7 === 0 ? 0 : i % 500 === 1 ? 1_500_000 : (i * 7919) % 40_000;
    files.push({ path: `${dir}/file ${i}.bin`, lengthBytes });
  }
  for (const dir of new Set(files.map(({ path }) => path.slice(0, path.lastIndexOf('/'))))) {
    await mkdir(join(root, dir), { recursive: true });
  }
  await mkdir(join(root, 'empty', 'directory'), { recursive: true });
  let next = 0;
  const writeNext = async (): Promise<void> => {
    for (let i = next++; i < files.length; i = next++) {
      const { path, lengthBytes } = files[i] as (typeof files)[number];
      const bytes = smallFile(base, i, lengthBytes);
      await writeFile(join(root, path), bytes);
      await utimes(join(root, path), FIRST_SECOND + i, FIRST_SECOND + i);
    }
  };
  await Promise.all(Array.from({ length: FILES_AT_ONCE }, writeNext));
  await mkdir(join(root, LARGE));
  for (let i = 0; i < spec.largeFiles; i++) {
    // Not a whole number of pages, but for one.
    const lengthBytes = i === 0 ? spec.largeBytes : spec.largeBytes + 12_345 * i + 1;
    await writeLarge(join(root, LARGE, `large-${i}`), base, i, lengthBytes);
  }
  await makeRepository(join(root, 'repository.git'));
}

function deepDirectory(index: number, depth: number): string {
  const levels = [DEEP];
  for (let level = 1; level < 1 + (index % depth); level++) {
    // Some hundred directories; a tree of nothing but directories is not what people have.
    levels.push(`level ${level}-${level <= 4 ? (index >> level) % 2 : 0}`);
  }
  return levels.join('/');
}

function smallFile(base: Buffer, index: number, lengthBytes: number): Buffer {
  const from = (index * 4099) % BLOCK_BYTES;
  const bytes = Buffer.from(base.subarray(from, from + Math.min(lengthBytes, BLOCK_BYTES)));
  const whole = lengthBytes <= bytes.length ? bytes : Buffer.concat([bytes, bytes], lengthBytes);
  if (index % 100 === 1) whole.write(`\n${MARKER} ${index}\n`, whole.length >> 1);
  return whole;
}

async function writeLarge(
  path: string,
  base: Buffer,
  fileIndex: number,
  lengthBytes: number,
): Promise<void> {
  const file = await open(path, 'w');
  try {
    for (let at = 0; at < lengthBytes; at += BLOCK_BYTES) {
      const from = (((at / BLOCK_BYTES) * 4111 + fileIndex * 257) % BLOCK_BYTES) & ~7;
      const block = Buffer.from(
        base.subarray(from, from + Math.min(BLOCK_BYTES, lengthBytes - at)),
      );
      for (let sector = 0; sector + 16 <= block.length; sector += SECTOR_BYTES) {
        block.writeDoubleLE(fileIndex, sector);
        block.writeDoubleLE(at + sector, sector + 8);
      }
      await file.write(block, 0, block.length, at);
    }
    await file.utimes(FIRST_SECOND + fileIndex, FIRST_SECOND + fileIndex);
  } finally {
    await file.close();
  }
}

/** A bare repository with packed and loose objects. */
async function makeRepository(path: string): Promise<void> {
  const git = async (args: readonly string[], input?: string): Promise<string> => {
    const identity = { GIT_AUTHOR_NAME: 'T', GIT_AUTHOR_EMAIL: 't@example.com' };
    const committer = { GIT_COMMITTER_NAME: 'T', GIT_COMMITTER_EMAIL: 't@example.com' };
    const dates = { GIT_AUTHOR_DATE: '1700000000 +0000', GIT_COMMITTER_DATE: '1700000000 +0000' };
    const env = { ...identity, ...committer, ...dates, GIT_CONFIG_GLOBAL: '/dev/null' };
    return await output('git', ['--git-dir', path, ...args], {
      env,
      ...(input === undefined ? {} : { input }),
    });
  };
  await git(['init', '--quiet', '--bare', '--initial-branch=main']);
  await git(['fast-import', '--quiet'], fastImport(0, 120));
  await git(['repack', '-adq']);
  await git(['-c', 'fastimport.unpackLimit=1000', 'fast-import', '--quiet'], fastImport(120, 150));
}

/** Commits of one file each, as `git fast-import` reads them. */
function fastImport(first: number, end: number): string {
  const lines: string[] = [];
  for (let i = first; i < end; i++) {
    const content = sampleBytes(200 + i * 53, i).toString('base64');
    lines.push(
      'commit refs/heads/main',
      `committer T <t@example.com> ${FIRST_SECOND + i} +0000`,
      `data ${Buffer.byteLength(`commit ${i}`)}`,
      `commit ${i}`,
    );
    if (i === first && first > 0) lines.push('from refs/heads/main^0');
    lines.push(`M 100644 inline dir${i % 5}/file${i}`, `data ${content.length}`, content);
  }
  return `${lines.join('\n')}\n`;
}
