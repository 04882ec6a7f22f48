// What the kernel is told, as numbers: errno values, modes, negotiated features.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { canPassThrough, negotiate } from '../fuse/device/index.ts';
import { Errno, InitFlag, InitFlag2, PROTOCOL_MINOR_OLDEST } from '../fuse/wire/index.ts';
import type { InitRequest } from '../fuse/wire/index.ts';
import { ROOT_INODE } from '../vfs/index.ts';
import type { FsErrorCode } from '../vfs/index.ts';
import { errnoOf } from './errno-table.ts';
import { fileAttrOf, fileTypeBits } from './presentation.ts';

/** Linux numbers, written down by hand; the compiler asks for every code. */
const ERRNOS: Record<FsErrorCode, number> = {
  'not-permitted': 1,
  'not-found': 2,
  interrupted: 4,
  io: 5,
  unavailable: 5,
  inexpressible: 5,
  'no-data': 6,
  'bad-handle': 9,
  permission: 13,
  exists: 17,
  'not-a-directory': 20,
  'is-a-directory': 21,
  invalid: 22,
  limit: 23,
  'read-only': 30,
  range: 34,
  'too-large': 27,
  'no-space': 28,
  'name-too-long': 36,
  'not-empty': 39,
  'no-attribute': 61,
  unsupported: 95,
  'shutting-down': 107,
  timeout: 110,
  stale: 116,
};

test('every error of the core has its errno', () => {
  for (const [code, errno] of Object.entries(ERRNOS)) {
    assert.equal(errnoOf(code as FsErrorCode), errno, code);
  }
  assert.throws(() => errnoOf('unheard-of' as FsErrorCode), /No errno/);
  // The kernel would remember ENOSYS for ever: no failure may become it.
  assert.ok(!Object.values(ERRNOS).includes(Errno.ENOSYS));
});

test('attributes are shown with the configured owner, and the mode that is known', () => {
  const presentation = { uid: 7, gid: 8, fileMode: 0o640, dirMode: 0o751 };
  const shown = (kind: 'file' | 'directory', mode: number | undefined) => {
    const rest = { posix: undefined, touchedMs: 0, isUnlinked: false };
    const attributes = { ino: ROOT_INODE, kind, lengthBytes: 513, mtimeMs: 1234.5, mode, ...rest };
    return fileAttrOf(attributes, presentation);
  };
  const file = shown('file', undefined);
  assert.equal(file.mode, 0o100640);
  assert.deepEqual([file.uid, file.gid, file.size, file.blocks, file.nlink], [7, 8, 513, 2, 1]);
  assert.deepEqual([file.mtimeMs, file.ctimeMs], [1234.5, 1234.5]);
  assert.equal(shown('directory', undefined).mode, 0o040751);
  assert.equal(shown('directory', 0o700).mode, 0o040700);
  assert.equal(shown('file', 0o170444).mode, 0o100444, 'type bits of the cluster are not believed');
  assert.deepEqual([fileTypeBits('file'), fileTypeBits('directory')], [8, 4]);
});

function offered(flags: number, flags2: number, minor = 45): InitRequest {
  const header = { len: 104, opcode: 26, unique: 2, resend: false, nodeId: 0 };
  const caller = { uid: 0, gid: 0, pid: 0 };
  const versions = { major: 7, minor, maxReadahead: 131_072 };
  return { op: 'init', header: { ...header, ...caller }, ...versions, flags, flags2 };
}

test('nothing is accepted that the kernel did not offer', () => {
  const { reply, negotiated } = negotiate(offered(0, 0xffff_ffff), {
    maxBackground: 1,
    isReadOnly: true,
    isImmutable: false,
    wantsPassthrough: false,
  });
  assert.equal(reply.flags, 0);
  assert.equal(reply.flags2, 0, 'without INIT_EXT there is no second word');
  assert.deepEqual([reply.maxPages, reply.maxWrite], [0, 131_072]);
  assert.equal(reply.congestionThreshold, 1);
  assert.equal(negotiated.maxPages, 32);
});

test('a kernel that offers all is asked for large requests and for resending', () => {
  const { reply, negotiated } = negotiate(offered(-1, -1), {
    maxBackground: 64,
    isReadOnly: true,
    isImmutable: false,
    wantsPassthrough: false,
  });
  assert.ok((reply.flags & InitFlag.MAX_PAGES) !== 0);
  assert.ok((reply.flags & InitFlag.DO_READDIRPLUS) !== 0);
  assert.ok((reply.flags2 & InitFlag2.HAS_RESEND) !== 0);
  assert.deepEqual([reply.maxPages, reply.maxWrite], [256, 1024 * 1024]);
  assert.equal(reply.congestionThreshold, 48);
  assert.equal(negotiated.maxWriteBytes, 1024 * 1024);
});

test('passthrough is asked for where it is wanted, and for files on plain file systems only', () => {
  const wishes = { maxBackground: 64, isReadOnly: true, isImmutable: false };
  for (const wantsPassthrough of [true, false]) {
    const { reply, negotiated } = negotiate(offered(-1, -1), { ...wishes, wantsPassthrough });
    assert.equal(reply.maxStackDepth, wantsPassthrough ? 1 : 0);
    assert.equal((reply.flags2 & InitFlag2.PASSTHROUGH) !== 0, wantsPassthrough);
    assert.equal(canPassThrough(negotiated), wantsPassthrough);
  }
  const { reply } = negotiate(offered(-1, 0), { ...wishes, wantsPassthrough: true });
  assert.equal(reply.maxStackDepth, 0);
});

test('the older of two minor versions is spoken', () => {
  assert.equal(
    negotiate(offered(0, 0, 99), {
      maxBackground: 1,
      isReadOnly: true,
      isImmutable: false,
      wantsPassthrough: false,
    }).reply.minor,
    45,
  );
  assert.equal(
    negotiate(offered(0, 0, 31), {
      maxBackground: 1,
      isReadOnly: true,
      isImmutable: false,
      wantsPassthrough: false,
    }).reply.minor,
    PROTOCOL_MINOR_OLDEST,
  );
});
