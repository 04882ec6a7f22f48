/** Sample trees whose names, sizes and bytes follow from a seed alone. */
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

export interface TreeSpec {
  /** Path below the root of the tree to its length in bytes; a path with a final `/` is a directory. */
  readonly entries: Readonly<Record<string, number>>;
  readonly seed?: number;
}

/** Bytes that differ at every offset and for every seed, so that mixed-up pages show. */
export function sampleBytes(lengthBytes: number, seed: number): Buffer {
  const bytes = Buffer.allocUnsafe(lengthBytes);
  let state = Math.imul(seed + 1, 0x9e3779b1) >>> 0 || 1;
  let i = 0;
  for (; i + 4 <= lengthBytes; i += 4) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes.writeInt32LE(state | 0, i);
  }
  for (; i < lengthBytes; i += 1) bytes[i] = (state >>> ((i & 3) * 8)) & 0xff;
  return bytes;
}

/** Content of the file at a path of a tree. */
export function sampleBytesOf(path: string, lengthBytes: number, seed = 1): Buffer {
  let hash = seed;
  for (let i = 0; i < path.length; i += 1) hash = (Math.imul(hash, 31) + path.charCodeAt(i)) | 0;
  return sampleBytes(lengthBytes, hash >>> 0);
}

export async function makeTree(root: string, spec: TreeSpec): Promise<void> {
  for (const [path, lengthBytes] of Object.entries(spec.entries)) {
    const full = join(root, path);
    if (path.endsWith('/')) {
      await mkdir(full, { recursive: true });
      continue;
    }
    await mkdir(dirname(full), { recursive: true });
    await writeFile(full, sampleBytesOf(path, lengthBytes, spec.seed));
  }
}

/** Lengths at which page arithmetic goes wrong, as entries of a tree spec. */
export function boundaryEntries(dir: string, pageSizeBytes: number): Record<string, number> {
  const lengths = [0, 1, pageSizeBytes - 1, pageSizeBytes, pageSizeBytes + 1];
  lengths.push(10 * pageSizeBytes - 1, 10 * pageSizeBytes, 10 * pageSizeBytes + 1);
  return Object.fromEntries(lengths.map((length) => [`${dir}/len-${length}`, length]));
}

/**
 * Names that a real open-source worker can express: each is a legal Linux name that some client
 * got wrong once.
 */
export const AWKWARD_NAMES: readonly string[] = [
  'plain',
  'with space',
  ' lead',
  'trail ',
  'plus+plus',
  '100%',
  '%41',
  'x%2Fy',
  '%252B',
  'a&b=c;d',
  'hash#tag',
  `quote'"`,
  '<angle>',
  'new\nline',
  'tab\there',
  'cr\rcr',
  'colon:colon',
  'ünïcödé',
  '\u{1f600} smile',
  'e\u0301 combining',
  '...',
  '-',
  '~!@$^*()[]{}|,',
  'n'.repeat(255),
];
