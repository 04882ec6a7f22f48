import assert from 'node:assert/strict';
import { test } from 'node:test';
import { byteStringOfText } from '../base/byte-string.ts';
import { ManualClock } from '../base/clock.ts';
import { silentLogger } from '../base/logger.ts';
import { ignoredEvents } from './cluster-events.ts';
import { Ring } from './ring.ts';
import { workersOf } from './testing/workers.ts';
import { VirtualNodes } from './virtual-nodes.ts';

const workers = workersOf(5);
const truth = new Ring(workers, { virtualNodes: 5 });

function key(i: number): ReturnType<typeof byteStringOfText> {
  return byteStringOfText(`file:///data/f${i}`);
}

function setUp(
  virtualNodes: number | 'auto',
  learnedBefore?: number,
): {
  nodes: VirtualNodes;
  clock: ManualClock;
  switches: string[];
  warnings: string[];
  contradictions: () => number;
} {
  const clock = new ManualClock();
  const switches: string[] = [];
  const warnings: string[] = [];
  let contradictions = 0;
  const nodes = new VirtualNodes({
    virtualNodes,
    learnedBefore,
    clock,
    logger: { ...silentLogger, warn: (_fields, message) => void warnings.push(message) },
    events: {
      ...ignoredEvents,
      virtualNodesSwitched: (from, to) => void switches.push(`${from}>${to}`),
      virtualNodesContradicted: () => void (contradictions += 1),
    },
  });
  nodes.setView({ workers, generation: 1 });
  return { nodes, clock, switches, warnings, contradictions: () => contradictions };
}

/** What workers with 5 virtual nodes say about the first files. */
function redirect(nodes: VirtualNodes, count: number, ring = truth): void {
  for (let i = 0; i < count; i += 1) nodes.noteRedirect(key(i), ring.ownerOf(key(i))?.host ?? '');
}

test('auto switches once the redirects show the other setting', () => {
  const { nodes, switches } = setUp('auto');
  assert.equal(nodes.current, 2000);
  redirect(nodes, 5);
  assert.deepEqual(switches, [], 'five files are not enough');
  redirect(nodes, 10);
  assert.deepEqual(switches, ['2000>5']);
  assert.equal(nodes.current, 5);
  assert.equal(nodes.from, 'learned');
  assert.equal(nodes.ring().ownerOf(key(77)), truth.ownerOf(key(77)));
});

test('the same file over and over is one piece of evidence', () => {
  const { nodes, switches } = setUp('auto');
  for (let i = 0; i < 50; i += 1) redirect(nodes, 1);
  assert.deepEqual(switches, []);
});

test('redirects that the current setting explains make it certain', () => {
  const { nodes, switches, contradictions } = setUp('auto');
  redirect(nodes, 20, new Ring(workers, { virtualNodes: 2000 }));
  assert.deepEqual(switches, []);
  assert.equal(contradictions(), 0);
  assert.equal(nodes.from, 'learned');
});

test('redirects that nothing explains are warned about once', () => {
  const { nodes, switches, warnings } = setUp('auto');
  redirect(nodes, 16, new Ring(workers, { virtualNodes: 77 }));
  redirect(nodes, 16, new Ring(workers, { virtualNodes: 77 }));
  assert.deepEqual(switches, []);
  assert.equal(warnings.length, 1);
});

test('a pinned number stays, contradictions are counted and warned about once', () => {
  const { nodes, switches, warnings, contradictions } = setUp(2000);
  redirect(nodes, 16);
  assert.equal(nodes.current, 2000);
  assert.equal(nodes.from, 'pinned');
  assert.deepEqual(switches, []);
  assert.equal(warnings.length, 1);
  assert.ok(contradictions() > 3);
});

test('a worker that serves a file itself speaks against a candidate', () => {
  const { nodes, switches } = setUp('auto');
  nodes.noteRedirect(key(0), truth.ownerOf(key(0))?.host ?? '');
  const other = new Ring(workers, { virtualNodes: 77 });
  for (let i = 1; i < 9; i += 1) nodes.noteServed(key(i), other.ownerOf(key(i))?.host ?? '');
  redirect(nodes, 1);
  assert.deepEqual(switches, []);
});

test('what is said while membership settles is not believed', () => {
  const { nodes, clock, switches } = setUp('auto');
  nodes.setView({ workers, generation: 2 });
  redirect(nodes, 16);
  assert.deepEqual(switches, []);
  clock.advance(130_000);
  redirect(nodes, 16);
  assert.deepEqual(switches, ['2000>5']);
});

test('a view change forgets the evidence, and unknown hosts are none', () => {
  const { nodes, clock, switches } = setUp('auto');
  redirect(nodes, 5);
  nodes.setView({ workers, generation: 2 });
  clock.advance(130_000);
  redirect(nodes, 5);
  for (let i = 0; i < 9; i += 1) nodes.noteRedirect(key(i), 'stranger');
  assert.deepEqual(switches, []);
});

test('what an earlier process learned is begun with, unless it is pinned or proves wrong', () => {
  const again = setUp('auto', 5);
  assert.deepEqual([again.nodes.current, again.nodes.from], [5, 'learned']);
  redirect(again.nodes, 20);
  assert.deepEqual([again.nodes.current, again.switches], [5, []]);
  const pinned = setUp(2000, 5);
  assert.deepEqual([pinned.nodes.current, pinned.nodes.from], [2000, 'pinned']);
  const wrong = setUp('auto', 2000);
  redirect(wrong.nodes, 20);
  assert.deepEqual([wrong.nodes.current, wrong.switches], [5, ['2000>5']]);
});
