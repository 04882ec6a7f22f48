/** Temporary directories that go away with their test. */
import { mkdtemp, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** What `after` of node:test and of a test context both are. */
export type Cleanup = (work: () => Promise<void>) => void;

export async function makeTempDir(cleanup: Cleanup, label = 'test'): Promise<string> {
  const dir = await realpath(await mkdtemp(join(tmpdir(), `alluxio-fuse-${label}-`)));
  cleanup(() => rm(dir, { recursive: true, force: true }));
  return dir;
}
