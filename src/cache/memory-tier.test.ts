import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../base/random.ts';
import { MemoryTier, Slab, slabGeometry, SLOT_BYTES } from './index.ts';
import type { CachedFile, Page } from './index.ts';

const SLOT = 16;
const PAGE = 64;
let lastFileId = 0;

function file(lengthBytes: number): CachedFile {
  return { fileId: ++lastFileId, lengthBytes, pages: new Map() };
}

function tierOf(slotCount: number): { readonly slab: Slab; readonly tier: MemoryTier } {
  const slab = new Slab({ slotBytes: SLOT, slotCount });
  return { slab, tier: new MemoryTier(slab, PAGE) };
}

function ready(tier: MemoryTier, owner: CachedFile, index: number, isAhead = false): Page {
  const page = tier.reserve(owner, index, isAhead);
  assert.ok(page !== undefined, 'no room');
  tier.complete(page);
  return page;
}

test('slab: the memory limit is the whole memory, cut into slots', () => {
  const geometry = slabGeometry(10 * SLOT_BYTES + SLOT_BYTES - 1);
  assert.deepEqual(geometry, { slotBytes: SLOT_BYTES, slotCount: 10 });
  const slab = new Slab(geometry);
  assert.equal(slab.buffer.byteLength, 10 * SLOT_BYTES);
  assert.throws(() => slab.slot(10), /out of range/);
  assert.throws(() => new Slab({ slotBytes: 16, slotCount: 3 }, slab.buffer), /another size/);
});

test('slab: a chunk is cut at the borders of slots that need not be neighbours', () => {
  const slab = new Slab({ slotBytes: SLOT, slotCount: 8 });
  const chunk = Uint8Array.from({ length: 40 }, (_, index) => index + 1);
  slab.writeToPage([5, 2, 7], 5, chunk);
  const page = Buffer.concat([slab.slot(5), slab.slot(2), slab.slot(7)]);
  assert.deepEqual(page.subarray(5, 45), Buffer.from(chunk));
  assert.ok(page.subarray(0, 5).every((byte) => byte === 0) && page[45] === 0);
  assert.ok([0, 1, 3, 4, 6].every((slot) => slab.slot(slot).every((byte) => byte === 0)));
  assert.throws(() => slab.writeToPage([5, 2, 7], 40, chunk), /over the end/);
});

test('slab: two views of one buffer see the same bytes', () => {
  const one = new Slab({ slotBytes: SLOT, slotCount: 2 });
  const other = new Slab(one.geometry, one.buffer);
  one.slot(1).fill(9);
  assert.ok(other.slot(1).every((byte) => byte === 9));
});

test('a page takes as many slots as it has bytes for', () => {
  const { tier } = tierOf(8);
  const small = file(70);
  assert.equal(tier.reserve(small, 0, false)?.slots.length, 4);
  assert.deepEqual(
    [tier.reserve(small, 1, false)].map((page) => [page?.slots.length, page?.lengthBytes]),
    [[1, 6]],
  );
  assert.throws(() => tier.reserve(small, 1, false), /already there/);
  assert.throws(() => tier.reserve(small, 2, false), /past the end/);
});

test('the least recently used page goes first, pinned pages and pages being filled never', () => {
  const { tier } = tierOf(12);
  const owner = file(PAGE * 10);
  ready(tier, owner, 0);
  const second = ready(tier, owner, 1);
  ready(tier, owner, 2);
  tier.touch(owner.pages.get(0) as Page);
  tier.pin(second);
  ready(tier, owner, 3);
  assert.deepEqual([...owner.pages.keys()], [0, 1, 3], '2 was the oldest that is not pinned');
  tier.reserve(owner, 4, false);
  assert.deepEqual([...owner.pages.keys()], [1, 3, 4]);
  assert.equal(tier.canReserve([PAGE]), true);
  assert.equal(tier.canReserve([PAGE, 1]), false);
  tier.pin(owner.pages.get(3) as Page);
  assert.equal(tier.reserve(owner, 5, false), undefined);
  tier.unpin(second);
  assert.ok(tier.reserve(owner, 5, false) !== undefined);
  tier.checkInvariants();
});

test('slots of a page being filled are free only when the fill has ended', () => {
  for (const end of ['complete', 'abandon'] as const) {
    const { tier } = tierOf(4);
    const owner = file(PAGE);
    const page = tier.reserve(owner, 0, true) as Page;
    tier.drop(owner);
    assert.equal(tier.find(owner, 0), undefined);
    assert.equal(tier.canReserve([1]), false, 'the network still writes there');
    tier[end](page);
    assert.equal(tier.canReserve([PAGE]), true);
    assert.equal(tier.usage().wastedBytes, end === 'complete' ? PAGE : 0);
    tier.checkInvariants();
  }
});

test('what was fetched ahead and never read is counted as wasted', () => {
  const { tier } = tierOf(8);
  const owner = file(PAGE * 4);
  tier.touch(ready(tier, owner, 0, true));
  ready(tier, owner, 1, true);
  ready(tier, owner, 2);
  ready(tier, owner, 3);
  assert.equal(tier.usage().wastedBytes, PAGE);
  assert.equal(tier.usage().evictedPages, 2);
});

test('segments are exactly the bytes asked for', () => {
  const { slab, tier } = tierOf(9);
  const owner = file(PAGE * 2);
  tier.reserve(file(SLOT), 0, false);
  const page = ready(tier, owner, 0);
  const content = Uint8Array.from({ length: PAGE }, (_, index) => index);
  slab.writeToPage(page.slots, 0, content);
  for (let from = 0; from <= PAGE; from++) {
    for (let to = from; to <= PAGE; to++) {
      const out: Uint8Array[] = [];
      tier.segments(page, from, to - from, out);
      assert.deepEqual(Buffer.concat(out), Buffer.from(content.subarray(from, to)));
    }
  }
});

test('misuse is refused', () => {
  const { tier } = tierOf(4);
  const page = ready(tier, file(PAGE), 0);
  assert.throws(() => tier.complete(page), /complete already/);
  assert.throws(() => tier.abandon(page), /cannot be abandoned/);
  assert.throws(() => tier.unpin(page), /not pinned/);
});

test('accounts stay right over random use', () => {
  const random = new Random(11);
  const { tier } = tierOf(40);
  const files = Array.from({ length: 5 }, () => file(random.between(1, PAGE * 6)));
  const filling: Page[] = [];
  const pinned: Page[] = [];
  for (let step = 0; step < 20_000; step++) {
    const owner = random.pick(files);
    const index = random.below(Math.ceil(owner.lengthBytes / PAGE));
    const present = tier.find(owner, index);
    const kind = random.below(8);
    if (kind < 3 && present === undefined) {
      const page = tier.reserve(owner, index, random.chance(0.5));
      if (page !== undefined) filling.push(page);
    } else if (kind < 5 && filling.length > 0) {
      const [page] = filling.splice(random.below(filling.length), 1);
      if (random.chance(0.3)) tier.abandon(page as Page);
      else tier.complete(page as Page);
    } else if (kind === 5 && present !== undefined) {
      tier.pin(present);
      pinned.push(present);
      if (present.state === 'ready') tier.touch(present);
    } else if (kind === 6 && pinned.length > 0) {
      tier.unpin(pinned.splice(random.below(pinned.length), 1)[0] as Page);
    } else if (kind === 7 && random.chance(0.05)) tier.drop(owner);
    tier.checkInvariants();
    const filledSlots = filling.reduce((sum, page) => sum + page.slots.length, 0);
    assert.equal(tier.usage().slotsFilling, filledSlots);
  }
});
