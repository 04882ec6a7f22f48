import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../base/random.ts';
import { ScanOrder } from './scan-ahead.ts';

const FILES = 2000;
const BYTES = 1000;
const BYTES_MAX = 1_000_000;

/** Opens the files in this order; all that is fetched ahead, and how much of it before its reader came. */
function scan(opens: readonly number[], bytesMax = BYTES_MAX) {
  const order = new ScanOrder();
  const fetched = new Set<number>();
  const seen = new Set<number>();
  let used = 0;
  let furthest = 0;
  for (const file of opens) {
    if (fetched.has(file) && !seen.has(file)) used++;
    seen.add(file);
    order.opened(file);
    for (let next = order.next(bytesMax); next !== undefined; next = order.next(bytesMax)) {
      if (next >= FILES) break;
      // One that is here already costs nothing.
      const isHere = seen.has(next) || fetched.has(next);
      order.noted(isHere ? 0 : BYTES);
      if (!isHere) fetched.add(next);
      furthest = Math.max(furthest, next - file);
    }
  }
  return { fetched: fetched.size, used, furthest };
}

const inOrder = Array.from({ length: FILES }, (_, file) => file);

test('files opened in order are fetched ever further ahead, up to a bound', () => {
  const { fetched, used, furthest } = scan(inOrder);
  assert.ok(used >= FILES - 3, `${used} were there before their reader`);
  assert.equal(used, fetched);
  assert.ok(furthest > 32 && furthest <= 64, `${furthest} ahead`);
});

test('several readers of one scan fetch ahead as one', () => {
  const random = new Random(1);
  const batches: number[] = [];
  // Four readers with a batch of eight each, of which any goes on first.
  for (let at = 0; at + 32 <= FILES; at += 32) {
    const heads = [0, 8, 16, 24];
    while (heads.length > 0) {
      const reader = random.below(heads.length);
      const file = heads[reader] as number;
      batches.push(at + file);
      if ((file + 1) % 8 === 0) heads.splice(reader, 1);
      else heads[reader] = file + 1;
    }
  }
  const { fetched, used } = scan(batches);
  assert.ok(used >= batches.length * 0.8, `${used} of ${batches.length}`);
  assert.ok(used >= fetched * 0.95, `${fetched - used} for nothing`);
});

test('files opened at random fetch next to nothing', () => {
  const random = new Random(2);
  const opens = inOrder.map(() => random.below(FILES));
  const { fetched } = scan(opens);
  assert.ok(fetched < opens.length / 10, `${fetched} were fetched`);
});

test('a scan that leaves most files out ends', () => {
  const { fetched } = scan(inOrder.filter((file) => file % 10 === 0));
  assert.ok(fetched < 20, `${fetched} were fetched`);
});

test('a jump begins anew, behind as well as ahead', () => {
  const { fetched, used } = scan([...inOrder.slice(1000, 1200), ...inOrder.slice(200, 400)]);
  assert.ok(used >= 390, `${used} were used`);
  assert.ok(fetched - used <= 128, 'what was ahead of the jump is all that is lost');
});

test('no more bytes than allowed wait for their reader', () => {
  const { furthest, used } = scan(inOrder, 10 * BYTES);
  assert.ok(furthest <= 10, `${furthest} ahead`);
  assert.ok(used >= FILES - 3);
});
