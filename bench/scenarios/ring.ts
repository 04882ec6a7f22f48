/** The hash ring of a large cluster, without a mount: how long a change of membership and a look-up take. */
import { Ring } from '../../src/cluster/ring.ts';
import type { Worker } from '../../src/cluster/types.ts';
import type { ByteString } from '../../src/base/byte-string.ts';
import type { MountSubject } from '../subjects/subject.ts';
import type { Figures } from '../support/figures.ts';
import type { Scenario } from '../support/scenario.ts';

const WORKERS = 1000;
const VIRTUAL_NODES = 2000;
const LOOK_UPS = 200_000;

export const ring: Scenario = {
  name: 'ring',
  rows: [
    {
      id: 'ring-build',
      title: 'ring built',
      unit: 'ms',
      better: 'lower',
      meaning: `${WORKERS} workers of ${VIRTUAL_NODES} virtual nodes each.`,
    },
    {
      id: 'ring-look-up',
      title: 'owner looked up',
      unit: 'ns',
      better: 'lower',
      meaning: `One of ${LOOK_UPS} paths on that ring.`,
    },
  ],

  async mount(subject: MountSubject): Promise<Figures> {
    if (subject.id !== 'ours-dev') return {};
    const workers = Array.from({ length: WORKERS }, (_, index) => workerOf(index));
    const paths = Array.from(
      { length: LOOK_UPS },
      (_, index) => `s3://bucket/data/directory/file-${index}.dat` as ByteString,
    );
    const startMs = performance.now();
    const built = new Ring(workers, { virtualNodes: VIRTUAL_NODES });
    const builtMs = performance.now();
    for (const path of paths) {
      if (built.ownerOf(path) === undefined) throw new Error('A path without an owner');
    }
    const endMs = performance.now();
    return {
      'ring-build': builtMs - startMs,
      'ring-look-up': ((endMs - builtMs) * 1e6) / LOOK_UPS,
    };
  },
};

function workerOf(index: number): Worker {
  const identifier = index.toString(16).padStart(32, '0');
  const id = `worker-${identifier}`;
  return { id, identifier, version: 1, host: `host-${index}`, httpPort: 28080, s3Port: 29998 };
}
