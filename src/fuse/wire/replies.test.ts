import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ByteString } from '../../base/byte-string.ts';
import { bytesOf, type Fields, nul, raw, u16, u32, u64 } from './request-bytes.ts';
import * as wire from './index.ts';

const TO = { unique: 0x1_2345_6789, resend: false };
const AT = 8;
const POISON = 0xa5;

/** Encodes into a poisoned buffer: every byte of the message must be written, and none beside it. */
function encoded(encode: (out: Buffer, at: number) => number): Buffer {
  const out = Buffer.alloc(1024, POISON);
  const length = encode(out, AT);
  const outside = Buffer.concat([out.subarray(0, AT), out.subarray(AT + length)]);
  assert.ok(outside.every((byte) => byte === POISON));
  return Buffer.from(out.subarray(AT, AT + length));
}

function assertReply(encode: (out: Buffer, at: number) => number, body: Fields, extra = 0) {
  const bodyBytes = bytesOf(body);
  const header = bytesOf([u32(16 + bodyBytes.length + extra), u32(0), u64(TO.unique)]);
  const expected = Buffer.concat([header, bodyBytes]);
  assert.equal(encoded(encode).toString('hex'), expected.toString('hex'));
  assert.ok(expected.length <= wire.REPLY_MAX_SIZE);
}

const attr: wire.FileAttr = {
  ino: 0x1_0000_0011,
  size: 0x1f_ffff_ffff_ffff,
  blocks: 0x1_0000_0033,
  atimeMs: 1_700_000_000_123,
  mtimeMs: -1500.25,
  ctimeMs: -0.001,
  mode: 0o100644,
  nlink: 2,
  uid: 0xfffffffe,
  gid: 1003,
  rdev: 0x1234_5678,
  blksize: 4096,
};

const attrFields: Fields = [
  u64(0x1_0000_0011), // ino
  u64(0x1f_ffff_ffff_ffff), // size
  u64(0x1_0000_0033), // blocks
  u64(1_700_000_000), // atime
  u64(-2n), // mtime: -1500.25 ms is 499.75 ms after -2 s
  u64(-1n), // ctime
  u32(123_000_000), // atimensec
  u32(499_750_000), // mtimensec
  u32(999_999_000), // ctimensec
  u32(0o100644), // mode
  u32(2), // nlink
  u32(0xfffffffe), // uid
  u32(1003), // gid
  u32(0x1234_5678), // rdev
  u32(4096), // blksize
  u32(0), // flags
];

const entry: wire.EntryReply = {
  nodeId: 0x1_0000_0001,
  generation: 7,
  entryValidMs: 1500,
  attrValidMs: Infinity,
  attr,
};

const entryFields: Fields = [
  u64(0x1_0000_0001), // nodeid
  u64(7), // generation
  u64(1), // entry_valid
  u64(0x7fff_ffff), // attr_valid
  u32(500_000_000), // entry_valid_nsec
  u32(0), // attr_valid_nsec
  ...attrFields,
];

describe('replies, byte for byte', () => {
  it('header only', () => {
    assertReply((out, at) => wire.encodeEmptyReply(out, at, TO), []);
    assertReply((out, at) => wire.encodeDataHeader(out, at, TO, 0x2_0000), [], 0x2_0000);
    const error = encoded((out, at) => wire.encodeErrorReply(out, at, TO, wire.Errno.ENOENT));
    const expected = bytesOf([u32(16), u32(0xffff_fffe), u64(TO.unique)]);
    assert.deepEqual(error, expected);
  });

  it('an errno outside of what the kernel takes is refused', () => {
    for (const errno of [0, -2, 512, 1.5, Number.NaN]) {
      assert.throws(() => wire.encodeErrorReply(Buffer.alloc(64), 0, TO, errno), RangeError);
    }
  });

  it('a resent request is answered with its bit', () => {
    const to = { unique: 0x1f_ffff_ffff_fffe, resend: true };
    const reply = encoded((out, at) => wire.encodeEmptyReply(out, at, to));
    assert.deepEqual(reply, bytesOf([u32(16), u32(0), u64((1n << 63n) | 0x1f_ffff_ffff_fffen)]));
  });

  it('entry', () => {
    assertReply((out, at) => wire.encodeEntryReply(out, at, TO, entry), entryFields);
  });

  it('negative entry', () => {
    const nothing = Array.from({ length: 11 }, () => u64(0)); // attr
    assertReply(
      (out, at) => wire.encodeNegativeEntryReply(out, at, TO, 2250),
      [u64(0), u64(0), u64(2), u64(0), u32(250_000_000), u32(0), ...nothing],
    );
  });

  it('attributes', () => {
    assertReply(
      (out, at) => wire.encodeAttrReply(out, at, TO, 999.5, attr),
      [u64(0), u32(999_500_000), u32(0), ...attrFields],
    );
  });

  it('a validity is never negative', () => {
    for (const validMs of [-5, Number.NaN]) {
      const reply = encoded((out, at) => wire.encodeAttrReply(out, at, TO, validMs, attr));
      assert.equal(reply.readBigUInt64LE(16), 0n);
      assert.equal(reply.readUInt32LE(24), 0);
    }
  });

  it('statx, with and without a birth time', () => {
    const fields = (mask: number, birth: Fields): Fields => [
      [u64(1), u32(0), u32(0), u64(0), u64(0)], // attr_valid, nsec, flags, spare
      [u32(mask), u32(4096), u64(0)], // mask, blksize, attributes
      [u32(2), u32(0xfffffffe), u32(1003), u16(0o100644), u16(0)], // nlink, uid, gid, mode, spare
      [u64(0x1_0000_0011), u64(0x1f_ffff_ffff_ffff), u64(0x1_0000_0033)], // ino, size, blocks
      u64(0), // attributes_mask
      [u64(1_700_000_000), u32(123_000_000), u32(0)], // atime
      ...birth,
      [u64(-1n), u32(999_999_000), u32(0)], // ctime
      [u64(-2n), u32(499_750_000), u32(0)], // mtime
      [u32(0x456), u32(0x12378), u32(0), u32(0)], // rdev major and minor, dev
      ...Array.from({ length: 14 }, () => u64(0)), // spare
    ];
    assertReply(
      (out, at) => wire.encodeStatxReply(out, at, TO, 1000, attr),
      fields(0x7ff, [u64(0), u64(0)]),
    );
    assertReply(
      (out, at) => wire.encodeStatxReply(out, at, TO, 1000, attr, 5001),
      fields(0xfff, [u64(5), u32(1_000_000), u32(0)]),
    );
  });

  it('open and create', () => {
    const open = { fh: 0x1_0000_0005, openFlags: 0x82, backingId: 3 };
    const openFields = [u64(0x1_0000_0005), u32(0x82), u32(3)]; // fh, open_flags, backing_id
    assertReply((out, at) => wire.encodeOpenReply(out, at, TO, open), openFields);
    assertReply(
      (out, at) => wire.encodeCreateReply(out, at, TO, entry, open),
      [...entryFields, ...openFields],
    );
  });

  it('init', () => {
    assertReply(
      (out, at) =>
        wire.encodeInitReply(out, at, TO, {
          major: 7,
          minor: 45,
          maxReadahead: 0x10_0000,
          // Bit 31 would make a signed number of it.
          flags: wire.InitFlag.INIT_EXT | wire.InitFlag.ASYNC_READ | (1 << 31),
          flags2: wire.InitFlag2.PASSTHROUGH | wire.InitFlag2.HAS_RESEND,
          maxBackground: 64,
          congestionThreshold: 48,
          maxWrite: 0x10_0000,
          timeGran: 1,
          maxPages: 256,
          maxStackDepth: 1,
          requestTimeoutSeconds: 90,
        }),
      [
        [u32(7), u32(45), u32(0x10_0000), u32(0xc000_0001)], // major, minor, readahead, flags
        [u16(64), u16(48), u32(0x10_0000), u32(1)], // background, congestion, max_write, gran
        [u16(256), u16(0), u32(0xa0), u32(1)], // max_pages, map_alignment, flags2, stack depth
        [u16(90), ...Array.from({ length: 11 }, () => u16(0))], // request_timeout, unused
      ],
    );
  });

  it('statfs', () => {
    assertReply(
      (out, at) =>
        wire.encodeStatfsReply(out, at, TO, {
          blocks: 0x1_0000_0001,
          bfree: 2,
          bavail: 3,
          files: 4,
          ffree: 5,
          bsize: 6,
          namelen: 255,
          frsize: 8,
        }),
      [
        [u64(0x1_0000_0001), u64(2), u64(3), u64(4), u64(5)],
        [u32(6), u32(255), u32(8), u32(0)], // bsize, namelen, frsize, padding
        [u64(0), u64(0), u64(0)], // spare
      ],
    );
  });

  it('the short ones', () => {
    assertReply(
      (out, at) => wire.encodeWriteReply(out, at, TO, 0x10_0000),
      [u32(0x10_0000), u32(0)],
    );
    assertReply((out, at) => wire.encodeXattrSizeReply(out, at, TO, 17), [u32(17), u32(0)]);
    assertReply((out, at) => wire.encodeLseekReply(out, at, TO, 0x1_0000_0000), [u64(1n << 32n)]);
    assertReply((out, at) => wire.encodeCopyReply64(out, at, TO, 0x1_0000_0000), [u64(1n << 32n)]);
    assertReply(
      (out, at) => wire.encodeIoctlReply(out, at, TO, -1, 5),
      [u32(0xffff_ffff), u32(0), u32(0), u32(0)],
      5,
    );
    assertReply(
      (out, at) =>
        wire.encodeLockReply(out, at, TO, { start: 9, end: wire.OFFSET_MAX, type: 1, pid: 77 }),
      [u64(9), u64((1n << 63n) - 1n), u32(1), u32(77)],
    );
  });
});

describe('notifications, byte for byte', () => {
  const assertNotification = (
    encode: (out: Buffer, at: number) => number,
    code: number,
    body: Fields,
    extra = 0,
  ) => {
    const bodyBytes = bytesOf(body);
    const header = bytesOf([u32(16 + bodyBytes.length + extra), u32(code), u64(0)]);
    assert.deepEqual(encoded(encode), Buffer.concat([header, bodyBytes]));
  };

  it('all of them', () => {
    assertNotification((out, at) => wire.encodeInvalInode(out, at, 0x1_0000_0001, -1, 0), 2, [
      u64(0x1_0000_0001),
      u64(-1n),
      u64(0),
    ]);
    const name = 'n\xff' as ByteString;
    assertNotification((out, at) => wire.encodeInvalEntry(out, at, 5, name, false), 3, [
      u64(5),
      u32(2),
      u32(0),
      nul(name),
    ]);
    assertNotification((out, at) => wire.encodeInvalEntry(out, at, 5, name, true), 3, [
      u64(5),
      u32(2),
      u32(1),
      nul(name),
    ]);
    assertNotification((out, at) => wire.encodeDelete(out, at, 5, 6, name), 6, [
      u64(5),
      u64(6),
      u32(2),
      u32(0),
      nul(name),
    ]);
    assertNotification(
      (out, at) => wire.encodeStore(out, at, 5, 0x1_0000_0000, 100),
      4,
      [u64(5), u64(1n << 32n), u32(100), u32(0)],
      100,
    );
    assertNotification((out, at) => wire.encodeResend(out, at), 7, []);
    assertNotification((out, at) => wire.encodeIncEpoch(out, at), 8, []);
  });

  it('a name that does not fit is refused, not cut', () => {
    const name = 'longer'.repeat(20) as ByteString;
    assert.throws(() => wire.encodeInvalEntry(Buffer.alloc(64), 0, 5, name, false), RangeError);
    assert.throws(() => wire.encodeDelete(Buffer.alloc(64), 0, 5, 6, name), RangeError);
  });

  it('the argument of the backing ioctl', () => {
    assert.deepEqual(
      encoded((out, at) => wire.encodeBackingMap(out, at, 23)),
      bytesOf([u32(23), u32(0), u64(0)]),
    );
  });
});

describe('directory entries', () => {
  const names = ['.', 'eight888', 'caf\xc3\xa9', 'x'.repeat(255)] as ByteString[];

  it('READDIR: as many as fit, padded with zeros', () => {
    const writer = new wire.DirentWriter();
    const out = Buffer.alloc(512, POISON);
    writer.begin(out, AT, 32 + 32 + 31);
    assert.equal(writer.length, 0);
    assert.ok(writer.append(names[0]!, 0x1_0000_0001, wire.DirentType.DIR, 1));
    assert.ok(writer.append(names[1]!, 2, wire.DirentType.REG, 0x1_0000_0002));
    assert.equal(writer.append(names[2]!, 3, wire.DirentType.REG, 3), false);
    assert.equal(writer.length, 64);
    const expected = bytesOf([
      [u64(0x1_0000_0001), u64(1), u32(1), u32(4), raw('.\0\0\0\0\0\0\0')],
      [u64(2), u64(0x1_0000_0002), u32(8), u32(8), raw('eight888')],
    ]);
    assert.deepEqual(out.subarray(AT, AT + 64), expected);
    assert.ok(out.subarray(AT + 64).every((byte) => byte === POISON));
    // Again from the start, exactly to the last byte.
    writer.begin(out, 0, 24 + 256);
    assert.ok(writer.append(names[3]!, 4, wire.DirentType.REG, 4));
    assert.equal(writer.length, 280);
    assert.equal(writer.append('a' as ByteString, 5, wire.DirentType.REG, 5), false);
  });

  it('READDIRPLUS: with and without an inode', () => {
    const writer = new wire.DirentPlusWriter();
    const out = Buffer.alloc(1024, POISON);
    writer.begin(out, AT, 160 + 160 + 159);
    assert.ok(writer.append(names[0]!, null, 9, wire.DirentType.DIR, 1));
    assert.ok(writer.append(names[2]!, entry, 0x1_0000_0011, wire.DirentType.REG, 2));
    assert.equal(writer.append(names[1]!, entry, 1, wire.DirentType.REG, 3), false);
    const expected = bytesOf([
      ...Array.from({ length: 16 }, () => u64(0)),
      [u64(9), u64(1), u32(1), u32(4), raw('.\0\0\0\0\0\0\0')],
      ...entryFields,
      [u64(0x1_0000_0011), u64(2), u32(5), u32(8), raw('caf\xc3\xa9\0\0\0')],
    ]);
    assert.equal(writer.length, expected.length);
    assert.deepEqual(out.subarray(AT, AT + writer.length), expected);
    assert.ok(out.subarray(AT + writer.length).every((byte) => byte === POISON));
  });

  it('refuses names that the kernel would fail the listing for, and a window outside the buffer', () => {
    const writer = new wire.DirentWriter();
    const out = Buffer.alloc(128);
    writer.begin(out, 0, 128);
    for (const name of ['', 'a/b', 'a\0b'] as ByteString[]) {
      assert.throws(() => writer.append(name, 1, wire.DirentType.REG, 1), RangeError);
    }
    assert.throws(() => writer.begin(out, 8, 128), RangeError);
  });
});

describe('times', () => {
  const written = (ms: number): [bigint, number] => {
    const reply = encoded((out, at) =>
      wire.encodeAttrReply(out, at, TO, 0, { ...attr, atimeMs: ms }),
    );
    return [reply.readBigInt64LE(16 + 16 + 24), reply.readUInt32LE(16 + 16 + 48)];
  };

  it('whole milliseconds are exact on both sides of 1970', () => {
    const cases: [number, bigint, number][] = [
      [0, 0n, 0],
      [-0, 0n, 0],
      [1, 0n, 1_000_000],
      [-1, -1n, 999_000_000],
      [-1000, -1n, 0],
      [-1001, -2n, 999_000_000],
      [1_795_380_045_704, 1_795_380_045n, 704_000_000],
      [8_640_000_000_000_000, 8_640_000_000_000n, 0],
      [-8_640_000_000_000_000, -8_640_000_000_000n, 0],
    ];
    for (const [ms, seconds, nanos] of cases) assert.deepEqual(written(ms), [seconds, nanos]);
  });

  it('fractions never make 1,000,000,000 nanoseconds', () => {
    for (const base of [0, 999, 1_700_000_000_000, -1_700_000_000_000]) {
      for (const step of [1e-9, 1e-7, 1e-6, 0.000_244, 0.000_5, 0.5, 0.999_999_9]) {
        for (const ms of [base + step, base - step]) {
          const [seconds, nanos] = written(ms);
          assert.ok(nanos >= 0 && nanos < 1e9, `${ms}: ${nanos}`);
          assert.ok(Math.abs(Number(seconds) * 1000 + nanos / 1e6 - ms) < 0.001, String(ms));
        }
      }
    }
  });
});
