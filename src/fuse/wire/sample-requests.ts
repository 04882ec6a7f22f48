/**
 * For tests: one annotated request for each opcode, written down from the C layouts with a sentinel in
 * every field (paddings too, which must not show), and what it must decode to.
 */
import { Opcode, type OpcodeName } from './opcodes.ts';
import { type Fields, nul, raw, requestBytes, u32, u64 } from './request-bytes.ts';

interface Sample {
  readonly body: Fields;
  readonly expected: Readonly<Record<string, unknown>>;
}

const PAD = u32(0xdead_beef);
const FH = u64(0x0001_0203_0405_0607n);
const FH_VALUE = 0x1_0203_0405_0607;
const OWNER = u64(0xfedc_ba98_7654_3210n);
const LOCK_OWNER = { lockOwnerLow: 0x7654_3210, lockOwnerHigh: 0xfedc_ba98 };
const OFFSET = u64(0x0000_00aa_bbcc_ddeen);
const OFFSET_VALUE = 0xaa_bbcc_ddee;

const OPEN: Fields = [u32(0x8000), u32(1)]; // flags, open_flags
const OPEN_VALUE = { flags: 0x8000, openFlags: 1 };
// fh, offset, size, read_flags, lock_owner, flags, padding
const READ: Fields = [FH, OFFSET, u32(0x2_0000), u32(2), OWNER, u32(0x8002), PAD];
const READ_VALUE = {
  fh: FH_VALUE,
  offset: OFFSET_VALUE,
  size: 0x2_0000,
  readFlags: 2,
  flags: 0x8002,
  ...LOCK_OWNER,
};
const RELEASE: Fields = [FH, u32(0x8003), u32(3), OWNER]; // fh, flags, release_flags, lock_owner
const RELEASE_VALUE = { fh: FH_VALUE, flags: 0x8003, releaseFlags: 3, ...LOCK_OWNER };
const FSYNC: Fields = [FH, u32(1), PAD]; // fh, fsync_flags, padding
const CREATE: Fields = [u32(0x8042), u32(0o100644), u32(0o22), u32(1)]; // flags, mode, umask, open_flags
const CREATE_VALUE = { flags: 0x8042, mode: 0o100644, umask: 0o22, openFlags: 1 };
// fh, owner, start, end, type, pid, lk_flags, padding
const LOCK: Fields = [FH, OWNER, u64(5), u64((1n << 63n) - 1n), u32(1), u32(4242), u32(1), PAD];
const LOCK_VALUE = {
  fh: FH_VALUE,
  ownerLow: 0x7654_3210,
  ownerHigh: 0xfedc_ba98,
  lock: { start: 5, end: Number.MAX_SAFE_INTEGER, type: 1, pid: 4242 },
  flock: true,
};
// fh_in, off_in, nodeid_out, fh_out, off_out, len, flags
const COPY: Fields = [FH, OFFSET, u64(77), u64(88), u64(99), u64(0xffff_f000), u64(0)];
const COPY_VALUE = {
  fhIn: FH_VALUE,
  offsetIn: OFFSET_VALUE,
  nodeIdOut: 77,
  fhOut: 88,
  offsetOut: 99,
  length: 0xffff_f000,
  flags: 0,
};

const SAMPLES: Record<OpcodeName, Sample> = {
  LOOKUP: {
    body: [nul('caf\xc3\xa9 \xff')],
    expected: { op: 'lookup', name: 'caf\xc3\xa9 \xff' },
  },
  FORGET: { body: [u64(0x1_0000_0002n)], expected: { op: 'forget', lookups: 0x1_0000_0002 } },
  GETATTR: {
    body: [u32(1), PAD, FH], // getattr_flags, padding, fh
    expected: { op: 'getattr', fh: FH_VALUE },
  },
  SETATTR: {
    body: [
      u32(0x57f), // valid: all but ATIME_NOW, LOCKOWNER
      PAD,
      FH,
      u64(0x12_3456_789an), // size
      OWNER,
      u64(1_700_000_000), // atime
      u64(-2n), // mtime, before 1970
      u64(1_600_000_000), // ctime
      u32(250_000_000), // atimensec
      u32(500_000_000), // mtimensec
      u32(0), // ctimensec
      u32(0o100600), // mode
      PAD,
      u32(1001), // uid
      u32(1002), // gid
      PAD,
    ],
    expected: {
      op: 'setattr',
      valid: 0x57f,
      fh: FH_VALUE,
      size: 0x12_3456_789a,
      mode: 0o100600,
      uid: 1001,
      gid: 1002,
      atimeMs: 1_700_000_000_250,
      mtimeMs: 'now', // 0x57f has MTIME_NOW (1 << 8)
      ctimeMs: 1_600_000_000_000,
    },
  },
  READLINK: { body: [], expected: { op: 'readlink' } },
  SYMLINK: {
    body: [nul('link'), nul('../to/target')],
    expected: { op: 'symlink', name: 'link', target: '../to/target' },
  },
  MKNOD: {
    body: [u32(0o20644), u32(0x103), u32(0o27), PAD, nul('null')], // mode, rdev, umask, padding
    expected: { op: 'mknod', mode: 0o20644, rdev: 0x103, umask: 0o27, name: 'null' },
  },
  MKDIR: {
    body: [u32(0o40755), u32(0o77), nul('dir')], // mode, umask
    expected: { op: 'mkdir', mode: 0o40755, umask: 0o77, name: 'dir' },
  },
  UNLINK: { body: [nul('gone')], expected: { op: 'unlink', name: 'gone' } },
  RMDIR: { body: [nul('empty')], expected: { op: 'rmdir', name: 'empty' } },
  RENAME: {
    body: [u64(0x1_0000_0009n), nul('old'), nul('new name')], // newdir
    expected: {
      op: 'rename',
      newParent: 0x1_0000_0009,
      flags: 0,
      name: 'old',
      newName: 'new name',
    },
  },
  LINK: {
    body: [u64(0x1_0000_000an), nul('hard')], // oldnodeid
    expected: { op: 'link', target: 0x1_0000_000a, name: 'hard' },
  },
  OPEN: { body: OPEN, expected: { op: 'open', ...OPEN_VALUE } },
  READ: { body: READ, expected: { op: 'read', ...READ_VALUE } },
  WRITE: {
    // fh, offset, size, write_flags, lock_owner, flags, padding, data
    body: [FH, OFFSET, u32(9), u32(3), OWNER, u32(0x8001), PAD, raw('some\0data')],
    expected: {
      op: 'write',
      fh: FH_VALUE,
      offset: OFFSET_VALUE,
      writeFlags: 3,
      flags: 0x8001,
      ...LOCK_OWNER,
      data: Buffer.from('some\0data'),
    },
  },
  STATFS: { body: [], expected: { op: 'statfs' } },
  RELEASE: { body: RELEASE, expected: { op: 'release', ...RELEASE_VALUE } },
  FSYNC: { body: FSYNC, expected: { op: 'fsync', fh: FH_VALUE, dataOnly: true } },
  SETXATTR: {
    body: [u32(5), u32(2), nul('user.k'), raw('v\0lue')], // size, flags
    expected: {
      op: 'setxattr',
      flags: 2,
      setxattrFlags: 0,
      name: 'user.k',
      value: Buffer.from('v\0lue'),
    },
  },
  GETXATTR: {
    body: [u32(4096), PAD, nul('user.alluxio.worker')], // size, padding
    expected: { op: 'getxattr', size: 4096, name: 'user.alluxio.worker' },
  },
  LISTXATTR: { body: [u32(65536), PAD], expected: { op: 'listxattr', size: 65536 } },
  REMOVEXATTR: { body: [nul('user.k')], expected: { op: 'removexattr', name: 'user.k' } },
  FLUSH: {
    body: [FH, PAD, PAD, OWNER], // fh, unused, padding, lock_owner
    expected: { op: 'flush', fh: FH_VALUE, ...LOCK_OWNER },
  },
  INIT: {
    body: [
      u32(7), // major
      u32(45), // minor
      u32(0x2_0000), // max_readahead
      u32(0x73ff_fffb), // flags, with INIT_EXT
      u32(0x0000_07fd), // flags2
      ...Array.from({ length: 11 }, () => u32(0)), // unused
    ],
    expected: {
      op: 'init',
      major: 7,
      minor: 45,
      maxReadahead: 0x2_0000,
      flags: 0x73ff_fffb,
      flags2: 0x7fd,
    },
  },
  OPENDIR: { body: OPEN, expected: { op: 'opendir', ...OPEN_VALUE } },
  READDIR: { body: READ, expected: { op: 'readdir', ...READ_VALUE } },
  RELEASEDIR: { body: RELEASE, expected: { op: 'releasedir', ...RELEASE_VALUE } },
  FSYNCDIR: { body: FSYNC, expected: { op: 'fsyncdir', fh: FH_VALUE, dataOnly: true } },
  GETLK: { body: LOCK, expected: { op: 'getlk', ...LOCK_VALUE } },
  SETLK: { body: LOCK, expected: { op: 'setlk', ...LOCK_VALUE } },
  SETLKW: { body: LOCK, expected: { op: 'setlkw', ...LOCK_VALUE } },
  ACCESS: { body: [u32(5), PAD], expected: { op: 'access', mask: 5 } },
  CREATE: {
    body: [...CREATE, nul('file')],
    expected: { op: 'create', ...CREATE_VALUE, name: 'file' },
  },
  INTERRUPT: {
    body: [u64((1n << 63n) | 0x1_0000_000cn)],
    expected: { op: 'interrupt', targetUnique: 0x1_0000_000c, targetResend: true },
  },
  BMAP: { body: [u64(7), u32(512), PAD], expected: { op: 'bmap', block: 7, blockSize: 512 } },
  DESTROY: { body: [], expected: { op: 'destroy' } },
  IOCTL: {
    // fh, flags, cmd, arg, in_size, out_size, data
    body: [FH, u32(16), u32(0x8008_6601), OWNER, u32(4), u32(8), raw('in\0\xff')],
    expected: {
      op: 'ioctl',
      fh: FH_VALUE,
      flags: 16,
      cmd: 0x8008_6601,
      argLow: 0x7654_3210,
      argHigh: 0xfedc_ba98,
      outSize: 8,
      data: Buffer.from('in\0\xff', 'latin1'),
    },
  },
  POLL: {
    body: [FH, u64(3), u32(1), u32(0x41)], // fh, kh, flags, events
    expected: { op: 'poll', fh: FH_VALUE, kh: 3, flags: 1, events: 0x41 },
  },
  NOTIFY_REPLY: {
    // unused, offset, size, unused, 2 unused, data
    body: [OWNER, OFFSET, u32(3), PAD, OWNER, OWNER, raw('abc')],
    expected: { op: 'notify-reply', offset: OFFSET_VALUE, data: Buffer.from('abc') },
  },
  BATCH_FORGET: {
    body: [u32(2), PAD, u64(11), u64(1), u64(0x1_0000_000bn), u64(300)], // count, padding
    expected: {
      op: 'batch-forget',
      entries: [
        { nodeId: 11, lookups: 1 },
        { nodeId: 0x1_0000_000b, lookups: 300 },
      ],
    },
  },
  FALLOCATE: {
    body: [FH, OFFSET, u64(4096), u32(3), PAD], // fh, offset, length, mode
    expected: {
      op: 'fallocate',
      fh: FH_VALUE,
      offset: OFFSET_VALUE,
      length: 4096,
      mode: 3,
    },
  },
  READDIRPLUS: { body: READ, expected: { op: 'readdirplus', ...READ_VALUE } },
  RENAME2: {
    body: [u64(12), u32(1), PAD, nul('a'), nul('b')], // newdir, flags, padding
    expected: { op: 'rename', newParent: 12, flags: 1, name: 'a', newName: 'b' },
  },
  LSEEK: {
    body: [FH, OFFSET, u32(4), PAD], // fh, offset, whence
    expected: { op: 'lseek', fh: FH_VALUE, offset: OFFSET_VALUE, whence: 4 },
  },
  COPY_FILE_RANGE: { body: COPY, expected: { op: 'copy-file-range', ...COPY_VALUE } },
  SETUPMAPPING: {
    body: [FH, OFFSET, u64(1), u64(2), u64(3)], // fh, foffset, len, flags, moffset
    expected: { op: 'setupmapping' },
  },
  REMOVEMAPPING: {
    body: [u32(2), u64(1), u64(2), u64(3), u64(4)], // count, 2 x (moffset, len)
    expected: { op: 'removemapping' },
  },
  SYNCFS: { body: [u64(0)], expected: { op: 'syncfs' } },
  TMPFILE: { body: [...CREATE, nul('/')], expected: { op: 'tmpfile', ...CREATE_VALUE } },
  STATX: {
    body: [u32(1), PAD, FH, u32(0x2000), u32(0xfff)], // getattr_flags, reserved, fh, sx_flags, sx_mask
    expected: { op: 'statx', fh: FH_VALUE, statxFlags: 0x2000, mask: 0xfff },
  },
  COPY_FILE_RANGE_64: { body: COPY, expected: { op: 'copy-file-range-64', ...COPY_VALUE } },
};

export const sampleRequests = Object.entries(SAMPLES).map(([name, sample]) => {
  const opcode = Opcode[name as OpcodeName];
  return {
    name: name as OpcodeName,
    opcode,
    bytes: requestBytes(opcode, sample.body),
    expected: sample.expected,
  };
});
