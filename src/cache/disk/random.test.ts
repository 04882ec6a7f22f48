/**
 * Random work on a tier, with restarts, kills, cuts of the index and changed files in between, against
 * a model of what may be served: a page is right or not there.
 */
import assert from 'node:assert/strict';
import { cp, readFile, truncate, writeFile } from 'node:fs/promises';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import fc from 'fast-check';
import type { DiskTier } from './disk-tier.ts';
import {
  allPages,
  backingFiles,
  fileOf,
  keep,
  makeDirectory,
  openTier,
  PAGE,
  pageBytes,
  readPages,
} from './testing/tier.ts';

const FILES = Array.from({ length: 12 }, (_, index) =>
  fileOf(`file-${index}`, 1 + index * 1500 + (index % 3) * PAGE, index % 2),
);
const LIMIT = 40 * PAGE;
const anyFile = fc.nat(FILES.length - 1);
const anyPart = fc.double({ min: 0, max: 1, noNaN: true });
const steps = fc.array(
  fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({ kind: fc.constant('keep' as const), which: anyFile, seed: fc.nat() }),
    },
    { weight: 4, arbitrary: fc.record({ kind: fc.constant('read' as const), which: anyFile }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('back' as const), which: anyFile }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('drop' as const), which: anyFile }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('restart' as const) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('kill' as const), share: anyPart }) },
    {
      weight: 1,
      arbitrary: fc.record({
        kind: fc.constant('damage' as const),
        which: fc.nat(),
        share: anyPart,
      }),
    },
  ),
  { minLength: 5, maxLength: 30 },
);

test('serves what was kept or nothing, within its limit, whatever happens', async (context) => {
  await fc.assert(
    fc.asyncProperty(steps, async (all) => {
      let directory = await makeDirectory(context);
      let tier = await openTier([directory], { limitBytes: LIMIT });
      try {
        for (const step of all) {
          if (step.kind === 'restart') {
            await tier.close();
            tier = await openTier([directory], { limitBytes: LIMIT });
          } else if (step.kind === 'kill') {
            // As the disk is now, but for the end of the index.
            const copy = await copyOf(directory, context);
            const index = join(copy, 'alluxio-fuse-cache', 'index');
            await truncate(index, Math.floor(statSync(index).size * step.share));
            await tier.close();
            directory = copy;
            tier = await openTier([directory], { limitBytes: LIMIT });
          } else if (step.kind === 'damage') await damage(directory, step.which, step.share);
          else await work(tier, step);
          const used = tier.status().directories[0]?.usedBytes ?? Infinity;
          assert.ok(used <= LIMIT, `${used} bytes`);
        }
      } finally {
        await tier.close();
      }
    }),
    { numRuns: 25 },
  );
});

/** The tier still works in it, and may remove what is being copied: then it was killed a moment later. */
async function copyOf(directory: string, context: TestContext): Promise<string> {
  for (;;) {
    const copy = await makeDirectory(context);
    try {
      await cp(directory, copy, { recursive: true });
      return copy;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
}

async function work(
  tier: DiskTier,
  step: { readonly kind: string; readonly which: number; readonly seed?: number },
): Promise<void> {
  const file = FILES[step.which] as (typeof FILES)[number];
  if (step.kind === 'keep') {
    const seed = step.seed ?? 0;
    await keep(
      tier,
      file,
      allPages(file).filter((index) => ((seed >> (index % 30)) & 1) === 0),
    );
  } else if (step.kind === 'read') {
    for (const [index, page] of (await readPages(tier, file, allPages(file))).entries()) {
      if (page !== undefined) assert.deepEqual(page, pageBytes(file, index));
    }
  } else if (step.kind === 'drop') await tier.drop((path) => path === file.path);
  else {
    const backing = tier.findBacking(file.path, file.version);
    if (backing === undefined) return;
    const now = statSync(backing.file, { bigint: true, throwIfNoEntry: false });
    // As the kernel thread looks at it: damaged since, it is refused.
    if (now?.ctimeNs !== backing.ctimeNs || now.ino !== backing.ino) {
      tier.refused(backing.file);
      return;
    }
    const bytes = await readFile(backing.file);
    const expected = Buffer.concat(allPages(file).map((index) => pageBytes(file, index)));
    assert.deepEqual(bytes, expected);
  }
}

async function damage(directory: string, which: number, share: number): Promise<void> {
  let files: string[];
  try {
    files = backingFiles(directory);
  } catch {
    return;
  }
  const path = files[which % Math.max(1, files.length)];
  if (path === undefined) return;
  const bytes = await readFile(path).catch(() => undefined);
  if (bytes === undefined || bytes.length === 0) return;
  const at = Math.min(bytes.length - 1, Math.floor(bytes.length * share));
  if (which % 3 === 0) await truncate(path, at).catch(() => undefined);
  else {
    bytes[at] = (bytes[at] as number) ^ 1;
    await writeFile(path, bytes);
  }
}
