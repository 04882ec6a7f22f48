/** The files that readers verify while something is broken: of all sizes, most of them several pages. */
import { makeTree } from '../support/tree.ts';

export const FAULT_PAGE_BYTES = 256 * 1024;
/** The least that a mount takes; a fraction of the tree, so that the readers keep the workers busy. */
export const FAULT_MEMORY_LIMIT = '16MB';

const LENGTHS: readonly [lengthBytes: number, count: number][] = [
  [0, 1],
  [1, 1],
  [FAULT_PAGE_BYTES - 1, 2],
  [FAULT_PAGE_BYTES, 2],
  [FAULT_PAGE_BYTES + 1, 2],
  [4_000, 12],
  [110 * 1024, 24],
  [700_000, 24],
  [10 * FAULT_PAGE_BYTES - 1, 8],
  [6_000_001, 4],
];

/** Makes some 60 MB under `dir` and returns the paths below it. */
export async function makeFaultTree(dir: string): Promise<string[]> {
  const entries: Record<string, number> = {};
  for (const [lengthBytes, count] of LENGTHS) {
    for (let i = 0; i < count; i++) entries[`tree/d${i % 5}/${lengthBytes}-${i}`] = lengthBytes;
  }
  await makeTree(dir, { entries, seed: 7 });
  return Object.keys(entries);
}
