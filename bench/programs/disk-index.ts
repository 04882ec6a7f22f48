/**
 * Opens a cache directory that knows a million files of one page; prints what it took as JSON. The log is
 * the real one, the files behind it are left out: nothing looks at them until they are read or swept.
 */
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { byteStringOfText } from '../../src/base/byte-string.ts';
import { BackingFiles } from '../../src/cache/disk/backing-files.ts';
import { cacheKeyOf } from '../../src/cache/disk/cache-key.ts';
import { DiskTier } from '../../src/cache/disk/index.ts';
import { FrameBuilder } from '../../src/cache/disk/records.ts';

const FILES = 1_000_000;
const PAGE_BYTES = 1024 * 1024;
const PLACE = 'bench';
const VERSION = { lengthBytes: 110_000, mtimeMs: 1_700_000_000_000 };
const RESOLUTION_MS = 1;

const pathOf = (i: number) => byteStringOfText(`/training/part-${i % 100}/image-${i}.jpg`);

function writeLog(directory: string): void {
  const files = new BackingFiles(directory);
  files.make();
  const file = openSync(files.indexPath, 'w', 0o600);
  const builder = new FrameBuilder((frame) => writeSync(file, frame));
  builder.head(PAGE_BYTES);
  for (let i = 0; i < FILES; i++) {
    const path = pathOf(i);
    const identity = { key: cacheKeyOf(PLACE, path, VERSION), nonce: i };
    builder.file({ ...identity, ...VERSION, path, lastUseS: 1_700_000_000 + i });
    builder.pages(identity, [{ index: 0, sum: i }]);
  }
  builder.flush();
  closeSync(file);
}

const directory = mkdtempSync(join(tmpdir(), 'alluxio-fuse-bench-index-'));
try {
  writeLog(directory);
  const delays = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  delays.enable();
  const startedMs = performance.now();
  const tier = await DiskTier.open({
    directories: [directory],
    limitBytes: 2 * FILES * PAGE_BYTES,
    freeSpace: { bytes: 0 },
    pageSizeBytes: PAGE_BYTES,
    place: PLACE,
    holder: { pid: process.pid },
    isForgiving: false,
    events: {
      failed: (_, operation, error) => console.error(operation, error),
      corrupt: (file, reason) => console.error(file, reason),
      retired: (_, reason) => console.error(reason),
    },
  });
  const openedMs = performance.now();
  await tier.loaded();
  const loadedMs = performance.now();
  delays.disable();
  for (let i = 0; i < FILES; i += 997) {
    const isKept = tier.contentOf(pathOf(i), VERSION)?.isKept(0);
    if (isKept !== true) throw new Error(`${pathOf(i)} is not known`);
  }
  process.stdout.write(
    JSON.stringify({
      'index-open': openedMs - startedMs,
      'index-loaded': loadedMs - startedMs,
      'index-turn': delays.max / 1e6 - RESOLUTION_MS,
    }),
  );
} finally {
  rmSync(directory, { recursive: true, force: true });
}
// What would be swept now is not there.
process.exit();
