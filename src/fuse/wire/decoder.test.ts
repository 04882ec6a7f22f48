import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { nul, raw, requestBytes, expectedHeader, u32, u64 } from './request-bytes.ts';
import { sampleRequests } from './sample-requests.ts';
import {
  Errno,
  OFFSET_MAX,
  Opcode,
  requestBufferSize,
  RequestDecoder,
  WireError,
  type WireErrorCode,
} from './index.ts';

const decoder = new RequestDecoder();
const decode = (bytes: Buffer) => decoder.decode(bytes, bytes.length);

function refusal(bytes: Buffer, length = bytes.length): WireError {
  let caught: unknown;
  try {
    decoder.decode(bytes, length);
  } catch (error) {
    caught = error;
  }
  assert.ok(caught instanceof WireError, `not refused: ${String(caught)}`);
  return caught;
}

function assertRefused(bytes: Buffer, code: WireErrorCode, errno?: number) {
  const error = refusal(bytes);
  assert.equal(error.code, code);
  if (errno !== undefined) assert.equal(error.errno, errno);
}

describe('decoding a request', () => {
  for (const sample of sampleRequests) {
    it(`${sample.name}: every field`, () => {
      assert.deepEqual(decode(sample.bytes), {
        header: expectedHeader(sample.opcode, sample.bytes),
        ...sample.expected,
      });
    });
  }

  it('refuses every truncation of every message', () => {
    for (const { name, opcode, bytes } of sampleRequests) {
      for (let length = 0; length < bytes.length; length++) {
        const cut = Buffer.from(bytes);
        const short = refusal(cut, length);
        assert.equal(short.code, length < 40 ? 'short-header' : 'length-mismatch', name);
        // The same with a header that agrees about the length.
        if (length < 40) continue;
        cut.writeUInt32LE(length, 0);
        if (opcode === Opcode.INIT && length >= 56) {
          assert.equal(decoder.decode(cut, length).op, 'init', `INIT of ${length}`);
          continue;
        }
        const error = refusal(cut, length);
        assert.match(error.code, /^(short-body|missing-nul)$/, `${name} of ${length}`);
        assert.equal(error.errno, Errno.EIO);
        assert.equal(error.header?.unique, 0x11_2233_4456);
      }
    }
  });

  it('refuses bytes behind every message but INIT', () => {
    for (const { name, opcode, bytes } of sampleRequests) {
      for (const extra of [1, 8, 4096]) {
        const longer = Buffer.concat([bytes, Buffer.alloc(extra, 1)]);
        longer.writeUInt32LE(longer.length, 0);
        if (opcode === Opcode.INIT) assert.equal(decode(longer).op, 'init');
        else assert.equal(refusal(longer).code, 'trailing-bytes', name);
      }
    }
  });

  it('refuses more bytes than the buffer has', () => {
    const bytes = requestBytes(Opcode.STATFS, []);
    assert.equal(refusal(bytes, bytes.length + 1).code, 'short-header');
  });

  it('refuses opcodes without a message, and answers them with ENOSYS', () => {
    for (const opcode of [0, 7, 19, 54, 63, 101, 4096, 436_207_616, 0xffff_ffff]) {
      const error = refusal(requestBytes(opcode, []));
      assert.equal(error.code, 'unknown-opcode');
      assert.equal(error.errno, Errno.ENOSYS);
      assert.equal(error.header?.opcode, opcode);
    }
  });
});

describe('the header', () => {
  it('splits the resend bit from the unique', () => {
    const bytes = requestBytes(Opcode.STATFS, [], { unique: (1n << 63n) | 0x1f_ffff_ffff_fffen });
    const { header } = decode(bytes);
    assert.equal(header.unique, 0x1f_ffff_ffff_fffe);
    assert.equal(header.resend, true);
  });

  it('refuses ids above 2^53', () => {
    const unique = refusal(requestBytes(Opcode.STATFS, [], { unique: 1n << 53n }));
    assert.equal(unique.code, 'bad-number');
    assert.equal(unique.header, undefined);
    assertRefused(requestBytes(Opcode.STATFS, [], { nodeId: 1n << 53n }), 'bad-number');
    assertRefused(requestBytes(Opcode.FORGET, [u64(1n << 53n)]), 'bad-number');
    assertRefused(requestBytes(Opcode.FLUSH, [u64(1n << 60n), u64(0), u64(0)]), 'bad-number');
    assertRefused(requestBytes(Opcode.INTERRUPT, [u64(1n << 53n)]), 'bad-number');
  });

  it('leaves out extensions at the end', () => {
    const bytes = requestBytes(
      Opcode.MKDIR,
      [u32(0o755), u32(0), nul('dir'), raw('\0\0\0\0'), raw('extended'), raw('extended')],
      { extensionUnits: 2 },
    );
    // The name's padding belongs to nobody.
    assertRefused(bytes, 'trailing-bytes');
    const exact = requestBytes(
      Opcode.MKDIR,
      [u32(0o755), u32(0), nul('dir'), raw('extended'), raw('extended')],
      { extensionUnits: 2 },
    );
    const request = decode(exact);
    assert.ok(request.op === 'mkdir' && request.name === 'dir');
    assertRefused(requestBytes(Opcode.STATFS, [], { extensionUnits: 1 }), 'short-body');
    // An extension does not lend its bytes to the message.
    assertRefused(
      requestBytes(Opcode.LOOKUP, [raw('abc'), raw('d\0\0\0\0\0\0\0')], { extensionUnits: 1 }),
      'missing-nul',
    );
  });
});

describe('the request buffer', () => {
  it('has room for the biggest WRITE', () => {
    assert.equal(requestBufferSize(4096), 8192);
    const biggest = requestBytes(Opcode.WRITE, [
      [u64(1), u64(0), u32(0x10_0000), u32(0), u64(0), u64(0), raw('x'.repeat(0x10_0000))],
    ]);
    assert.equal(requestBufferSize(0x10_0000), biggest.length);
    const request = decode(biggest);
    assert.ok(request.op === 'write' && request.data.length === 0x10_0000);
  });
});

describe('the body', () => {
  it('refuses names that cannot be names', () => {
    assertRefused(requestBytes(Opcode.LOOKUP, [nul('')]), 'bad-name');
    assertRefused(requestBytes(Opcode.LOOKUP, [nul('a/b')]), 'bad-name');
    assertRefused(requestBytes(Opcode.LOOKUP, [raw('ab')]), 'missing-nul');
    assertRefused(requestBytes(Opcode.LOOKUP, [raw('ab\0c')]), 'trailing-bytes');
    assertRefused(requestBytes(Opcode.RENAME, [u64(1), nul('a'), nul('')]), 'bad-name');
    assertRefused(requestBytes(Opcode.RENAME, [u64(1), nul('a')]), 'missing-nul');
  });

  it('keeps every other byte of a name', () => {
    const all = Array.from({ length: 255 }, (_, i) => i + 1).filter((byte) => byte !== 0x2f);
    const name = String.fromCharCode(...all);
    const request = decode(requestBytes(Opcode.LOOKUP, [nul(name)]));
    assert.ok(request.op === 'lookup');
    assert.equal(request.name, name);
  });

  it('refuses counts and sizes that say more or less than there is', () => {
    const forget = [u64(1), u64(1)];
    assertRefused(requestBytes(Opcode.BATCH_FORGET, [u32(2), u32(0), ...forget]), 'short-body');
    assertRefused(
      requestBytes(Opcode.BATCH_FORGET, [u32(0xffff_ffff), u32(0), ...forget]),
      'short-body',
    );
    assertRefused(requestBytes(Opcode.BATCH_FORGET, [u32(0), u32(0), ...forget]), 'trailing-bytes');
    const write = (size: number, data: string) =>
      requestBytes(Opcode.WRITE, [u64(1), u64(0), u32(size), u32(0), u64(0), u64(0), raw(data)]);
    assertRefused(write(4, 'abc'), 'short-body');
    assertRefused(write(0xffff_ffff, 'abc'), 'short-body');
    assertRefused(write(2, 'abc'), 'trailing-bytes');
    assertRefused(requestBytes(Opcode.REMOVEMAPPING, [u32(1 << 28)]), 'short-body');
  });

  it('cuts offsets that lie behind any end, refuses those that are written at', () => {
    const read = decode(
      requestBytes(Opcode.READ, [u64(1), u64((1n << 63n) - 1n), u32(1), u32(0), u64(0), u64(0)]),
    );
    assert.ok(read.op === 'read' && read.offset === OFFSET_MAX);
    const lseek = (offset: bigint) => {
      const request = decode(requestBytes(Opcode.LSEEK, [u64(1), u64(offset), u32(3), u32(0)]));
      assert.ok(request.op === 'lseek');
      return request.offset;
    };
    assert.equal(lseek(-1n), -1);
    assert.equal(lseek(-(1n << 63n)), -OFFSET_MAX);
    assert.equal(lseek(-0x1_0000_0001n), -0x1_0000_0001);
    assert.equal(lseek((1n << 53n) - 1n), OFFSET_MAX);
    assert.equal(lseek(1n << 53n), OFFSET_MAX);
    assert.equal(lseek((1n << 63n) - 1n), OFFSET_MAX);
    const huge = u64(1n << 53n);
    const zero = u64(0);
    assertRefused(
      requestBytes(Opcode.WRITE, [u64(1), huge, zero, u64(0), zero]),
      'bad-number',
      Errno.EFBIG,
    );
    assertRefused(
      requestBytes(Opcode.FALLOCATE, [u64(1), zero, huge, zero]),
      'bad-number',
      Errno.EFBIG,
    );
    assertRefused(
      requestBytes(Opcode.SETATTR, [u64(8), zero, huge, ...Array.from({ length: 8 }, () => zero)]),
      'bad-number',
      Errno.EFBIG,
    );
  });

  it('SETATTR: what is not valid is undefined, and times before 1970 are negative', () => {
    const setattr = (valid: number) => {
      const zero = u64(0);
      const request = decode(
        requestBytes(Opcode.SETATTR, [
          [u32(valid), u32(0), u64(-1n), u64(-1n), u64(-1n)], // valid, padding, fh, size, owner
          [u64(-2n), u64(-1n), u64(0)], // atime, mtime, ctime
          [u32(500_000_000), u32(999_000_000), u32(1_000_000)], // nanoseconds
          [u32(0), zero, zero], // mode, unused, uid, gid, unused
        ]),
      );
      assert.ok(request.op === 'setattr');
      return request;
    };
    const { header: _, ...nothing } = setattr(0);
    assert.deepEqual(nothing, {
      op: 'setattr',
      valid: 0,
      fh: undefined,
      size: undefined,
      mode: undefined,
      uid: undefined,
      gid: undefined,
      atimeMs: undefined,
      mtimeMs: undefined,
      ctimeMs: undefined,
    });
    const times = setattr((1 << 4) | (1 << 5) | (1 << 10));
    assert.deepEqual([times.atimeMs, times.mtimeMs, times.ctimeMs], [-1500, -1, 1]);
    const now = setattr((1 << 4) | (1 << 5) | (1 << 7) | (1 << 8));
    assert.deepEqual([now.atimeMs, now.mtimeMs], ['now', 'now']);
  });

  it('GETATTR, STATX: no handle without its flag', () => {
    const getattr = decode(requestBytes(Opcode.GETATTR, [u64(0), u64(-1n)]));
    assert.ok(getattr.op === 'getattr' && getattr.fh === undefined);
    const statx = decode(requestBytes(Opcode.STATX, [u64(0), u64(-1n), u64(0)]));
    assert.ok(statx.op === 'statx' && statx.fh === undefined);
  });

  it('INIT: old and short, and a second word that does not count', () => {
    const old = decode(requestBytes(Opcode.INIT, [u32(7), u32(31), u32(1), u32(1 << 22)]));
    assert.ok(old.op === 'init' && old.minor === 31 && old.flags2 === 0);
    const unset = decode(
      requestBytes(Opcode.INIT, [u32(7), u32(36), u32(1), u32(1), u32(0xffff_ffff)]),
    );
    assert.ok(unset.op === 'init' && unset.flags2 === 0);
  });

  it('SETXATTR: the longer layout once it was negotiated', () => {
    const extended = new RequestDecoder();
    extended.negotiated({ setxattrExt: true });
    const bytes = requestBytes(Opcode.SETXATTR, [
      [u32(3), u32(1), u32(1), u32(0)], // size, flags, setxattr_flags, padding
      [nul('user.a'), raw('xyz')],
    ]);
    const request = extended.decode(bytes, bytes.length);
    assert.ok(request.op === 'setxattr');
    assert.equal(request.setxattrFlags, 1);
    assert.equal(request.name, 'user.a');
    assert.equal(request.value.toString(), 'xyz');
  });

  it('gives data as a view, everything else as its own', () => {
    const write = requestBytes(Opcode.WRITE, [
      [u64(1), u64(0), u32(3), u32(0), u64(0), u64(0), raw('abc')],
    ]);
    const request = decode(write);
    assert.ok(request.op === 'write');
    assert.equal(request.data.buffer, write.buffer);
    write[write.length - 1] = 0x7a;
    assert.equal(request.data.toString(), 'abz');
    const lookup = requestBytes(Opcode.LOOKUP, [nul('abc')]);
    const found = decode(lookup);
    lookup.fill(0);
    assert.ok(found.op === 'lookup' && found.name === 'abc' && found.header.nodeId > 1);
  });
});
