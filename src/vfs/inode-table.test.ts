import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../base/random.ts';
import type { ByteString } from '../base/byte-string.ts';
import { InodeTable } from './inode-table.ts';
import type { Inode } from './inode.ts';
import { ROOT_INODE } from './types.ts';
import type { FileKind, InodeId, StatusMessage } from './types.ts';

const status = (kind: FileKind): StatusMessage => {
  return { kind, lengthBytes: 1, mtimeMs: 2, mode: undefined, contentHash: undefined };
};
const name = (text: string): ByteString => text as ByteString;

test('an inode keeps its parents, and takes them along when it goes', () => {
  const table = new InodeTable(1, 0, 0);
  const a = table.create(table.root, name('a'), status('directory'), 0);
  const b = table.create(a, name('b'), status('directory'), 0);
  const c = table.create(b, name('c'), status('file'), 0);
  c.lookups = 2;
  assert.equal(table.path(c), '/a/b/c');
  table.checkInvariants();
  for (const inode of [a, b, c]) table.release(inode, () => assert.fail('still held'));
  c.lookups = 0;
  const gone: Inode[] = [];
  table.release(c, (inode) => gone.push(inode));
  assert.deepEqual(gone, [c, b, a]);
  assert.equal(table.count, 1);
  assert.equal(table.find(c.ino), undefined);
  table.release(c, () => assert.fail('gone already'));
  table.checkInvariants();
});

test('numbers of different lives are apart, serial numbers are never used again', () => {
  const first = new InodeTable(1, 0, 0);
  const second = new InodeTable(2, 0, 0);
  const one = first.create(first.root, name('a'), status('directory'), 0);
  const two = second.create(second.root, name('a'), status('directory'), 0);
  assert.notEqual(one.ino, two.ino);
  assert.equal(second.find(one.ino), undefined);
  assert.equal(first.find(ROOT_INODE), first.root);
  first.release(one, () => {});
  const next = first.create(first.root, name('b'), status('directory'), 0);
  assert.equal(next.ino, one.ino);
  assert.notEqual(next.serial, one.serial);
  for (const wild of [0, 2, 2 ** 32, 2 ** 53]) assert.equal(first.find(wild as InodeId), undefined);
});

test('a name may lead to another inode while the first is still held', () => {
  const table = new InodeTable(1, 0, 0);
  const old = table.create(table.root, name('a'), status('file'), 0);
  old.lookups = 1;
  table.detach(old);
  const present = table.create(table.root, name('a'), status('directory'), 0);
  present.lookups = 1;
  table.checkInvariants();
  old.lookups = 0;
  table.release(old, () => {});
  assert.equal(table.child(table.root, name('a')), present);
  table.checkInvariants();
});

test('the invariants are seen to be broken', () => {
  const table = new InodeTable(1, 0, 0);
  const inode = table.create(table.root, name('a'), status('file'), 0);
  assert.throws(() => table.checkInvariants(), /nothing holds/);
  inode.lookups = 1;
  table.checkInvariants();
  table.root.childCount++;
  assert.throws(() => table.checkInvariants(), /child count/);
});

test('random use ends with the root alone', () => {
  const random = new Random(5);
  const table = new InodeTable(1, 0, 0);
  const held: Inode[] = [];
  for (let step = 0; step < 5_000; step++) {
    if (random.chance(0.55) || held.length === 0) {
      const directories = held.filter(({ kind }) => kind === 'directory');
      const parent = random.chance(0.3) ? table.root : random.pick([table.root, ...directories]);
      const child = name(String(random.below(5)));
      const known = table.child(parent, child);
      const kind = random.chance(0.5) ? 'directory' : 'file';
      const inode = known ?? table.create(parent, child, status(kind), 0);
      inode.lookups++;
      if (inode.lookups === 1) held.push(inode);
      if (random.chance(0.05)) table.detach(inode);
    } else {
      const [inode] = held.splice(random.below(held.length), 1);
      (inode as Inode).lookups = 0;
      table.release(inode as Inode, () => {});
    }
    table.checkInvariants();
  }
  for (const inode of held) {
    inode.lookups = 0;
    table.release(inode, () => {});
  }
  assert.equal(table.count, 1);
});
