/** Builds a large ring and looks up paths in it; prints what it took as JSON. */
import { byteStringOfText } from '../../src/base/byte-string.ts';
import { Ring } from '../../src/cluster/ring.ts';
import { workerOfAddress } from '../../src/cluster/worker-identity.ts';

const WORKERS = 1000;
const VIRTUAL_NODES = 2000;
const PATHS = 10_000;
const LOOKUPS = 1_000_000;
const HTTP_PORT = 28080;

const workers = Array.from({ length: WORKERS }, (_, i) =>
  workerOfAddress({ host: `worker-${i}`, httpPort: HTTP_PORT, s3Port: 29998 }, HTTP_PORT),
);
const keys = Array.from({ length: PATHS }, (_, i) =>
  byteStringOfText(`s3://bucket/training/part-${i % 100}/image-${i}.jpg`),
);

const startedMs = performance.now();
const ring = new Ring(workers, { virtualNodes: VIRTUAL_NODES });
const builtMs = performance.now();
const owners = new Set<string | undefined>();
for (let i = 0; i < LOOKUPS; i += 1) {
  const owner = ring.ownerOf(keys[i % PATHS] as (typeof keys)[number]);
  // Looked at, so that the look-up cannot be left out.
  if (i < PATHS) owners.add(owner?.id);
}
const doneMs = performance.now();
if (owners.size < WORKERS / 2) throw new Error(`Only ${owners.size} workers own a path`);
process.stdout.write(
  JSON.stringify({
    'ring-build': builtMs - startedMs,
    'ring-look-up': ((doneMs - builtMs) * 1000) / LOOKUPS,
  }),
);
