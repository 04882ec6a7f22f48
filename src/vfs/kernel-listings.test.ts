import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ByteString } from '../base/byte-string.ts';
import { ManualClock } from '../base/clock.ts';
import type { DirectoryHandle } from './handles.ts';
import { InodeTable } from './inode-table.ts';
import type { Inode } from './inode.ts';
import { indexOf, KernelListings, offsetOf } from './kernel-listings.ts';
import { batchOf } from './list-batch.ts';
import { Listing } from './listing.ts';
import type { CoreEffects, CoreOptions, StatusMessage } from './types.ts';

const ENTRY_TIMEOUT_MS = 1000;
const file: StatusMessage = {
  kind: 'file',
  lengthBytes: 1,
  mtimeMs: 2,
  mode: undefined,
  contentHash: undefined,
};

function setUp(incarnation = 1) {
  const clock = new ManualClock();
  const told: Inode['ino'][] = [];
  const kernel = new KernelListings({
    clock,
    options: { incarnation, entryTimeoutMs: ENTRY_TIMEOUT_MS } as CoreOptions,
    effects: { invalidateInode: (ino: Inode['ino']) => told.push(ino) } as unknown as CoreEffects,
  });
  const { root } = new InodeTable(1, 0, 0);
  const open = (listing: Listing): DirectoryHandle => ({
    kind: 'directory',
    inode: root,
    listing,
    isRead: true,
  });
  const list = (): Listing => {
    const listing = new Listing(clock.nowMs());
    listing.append(batchOf(['a' as ByteString], [file]), true);
    return listing;
  };
  return { clock, told, kernel, open, list, root };
}

test('entries are kept while the listing is the same and this mount has not changed it', () => {
  const { kernel, open, list } = setUp();
  const listing = list();
  const readsOnce = (): string => {
    const handle = open(listing);
    const kept = kernel.opened(handle);
    kernel.closed(handle);
    return kept;
  };
  assert.equal(readsOnce(), 'new');
  assert.equal(readsOnce(), 'kept');
  listing.put('b' as ByteString, file);
  assert.equal(readsOnce(), 'new');
  listing.hide('a' as ByteString);
  assert.equal(readsOnce(), 'new');
  assert.equal(readsOnce(), 'kept');
});

test('of two readers at a time, one is answered with what is kept', () => {
  const { kernel, open, list } = setUp();
  const listing = list();
  const [one, two] = [open(listing), open(listing)];
  assert.equal(kernel.opened(one), 'new');
  assert.equal(kernel.opened(two), 'apart');
  kernel.closed(two);
  assert.equal(kernel.opened(open(listing)), 'apart');
  kernel.closed(one);
  assert.equal(kernel.opened(open(listing)), 'kept');
});

test('who begins again shows the kernel what it finds then', () => {
  const { kernel, open, list } = setUp();
  const [one, two] = [open(list()), open(list())];
  kernel.opened(one);
  const newer = list();
  kernel.beginsAgain(two, list());
  kernel.beginsAgain(one, newer);
  kernel.closed(one);
  assert.equal(kernel.opened(open(newer)), 'kept');
});

test('a directory that stays open longer than its listing is believed is read anew', () => {
  const { kernel, open, list, clock, told, root } = setUp();
  kernel.opened(open(list()));
  clock.advance(ENTRY_TIMEOUT_MS - 1);
  kernel.tick();
  assert.deepEqual(told, []);
  assert.ok(kernel.isBusy);
  clock.advance(1);
  kernel.tick();
  assert.deepEqual(told, [root.ino]);
  assert.ok(!kernel.isBusy);
});

test('nothing is kept of a listing that is too old, nor soon after a restart', () => {
  const { kernel, open, list, clock } = setUp();
  const listing = list();
  clock.advance(ENTRY_TIMEOUT_MS);
  assert.equal(kernel.opened(open(listing)), 'apart');
  const second = setUp(2);
  assert.equal(second.kernel.opened(second.open(second.list())), 'apart');
  second.clock.advance(60_000);
  assert.equal(second.kernel.opened(second.open(second.list())), 'new');
});

test('offsets of two listings are apart, and each tells its index', () => {
  const [one, two] = [new Listing(0), new Listing(0)];
  for (const index of [0, 1, 2, 5_000_000]) {
    assert.equal(indexOf(offsetOf(one, index)), index);
    if (index > 0) assert.notEqual(offsetOf(one, index), offsetOf(two, index));
  }
  assert.equal(indexOf(0), 0);
  assert.equal(indexOf(1), 0);
});
