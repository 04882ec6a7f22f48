import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { ByteString } from '../../base/byte-string.ts';
import * as wire from './index.ts';

/*
 * The compiler and the kernel's own header as judges: a C program builds requests by assigning fields
 * by name, and reads our replies by field name. Structs newer than the installed header are left out
 * (the byte fixtures beside this file cover them).
 */
const HEADER = '/usr/include/linux/fuse.h';
const hasCompiler = spawnSync('gcc', ['--version']).status === 0;
const skip =
  !hasCompiler || !existsSync(HEADER) ? `needs gcc and ${HEADER} (linux-libc-dev)` : false;
/** A compiler run takes well under a second; more means that it hangs. */
const TIMEOUT_MS = 30_000;

const REQUEST_SOURCE = String.raw`
#define EMIT(opcode_, T, tail, ...) do { \
  struct { struct fuse_in_header h; T b; } m; memset(&m, 0xee, sizeof m); \
  T body = (T){ __VA_ARGS__ }; m.b = body; \
  m.h = (struct fuse_in_header){ .len = sizeof m.h + sizeof(T) + sizeof tail - 1, \
    .opcode = opcode_, .unique = 0x100000002ull, .nodeid = 0x300000004ull, \
    .uid = 5, .gid = 6, .pid = 7 }; \
  printf("%s ", #opcode_); hex(&m.h, sizeof m.h); hex(&m.b, sizeof(T)); hex(tail, sizeof tail - 1); \
  puts(""); } while (0)
static void requests(void) {
  EMIT(FUSE_FORGET, struct fuse_forget_in, "", .nlookup = 11);
  EMIT(FUSE_GETATTR, struct fuse_getattr_in, "", .getattr_flags = FUSE_GETATTR_FH, .fh = 12);
  EMIT(FUSE_SETATTR, struct fuse_setattr_in, "", .valid = FATTR_MODE | FATTR_UID | FATTR_GID |
    FATTR_SIZE | FATTR_ATIME | FATTR_MTIME | FATTR_FH | FATTR_CTIME, .fh = 1, .size = 2,
    .atime = 3, .mtime = 4, .ctime = 5, .atimensec = 6000000, .mtimensec = 7000000,
    .ctimensec = 8000000, .mode = 9, .uid = 10, .gid = 11);
  EMIT(FUSE_MKNOD, struct fuse_mknod_in, "n\0", .mode = 1, .rdev = 2, .umask = 3);
  EMIT(FUSE_MKDIR, struct fuse_mkdir_in, "n\0", .mode = 1, .umask = 2);
  EMIT(FUSE_RENAME, struct fuse_rename_in, "a\0b\0", .newdir = 1);
  EMIT(FUSE_RENAME2, struct fuse_rename2_in, "a\0b\0", .newdir = 1, .flags = 2);
  EMIT(FUSE_LINK, struct fuse_link_in, "n\0", .oldnodeid = 1);
  EMIT(FUSE_OPEN, struct fuse_open_in, "", .flags = 1, .open_flags = 2);
  EMIT(FUSE_CREATE, struct fuse_create_in, "n\0", .flags = 1, .mode = 2, .umask = 3,
    .open_flags = 4);
  EMIT(FUSE_READ, struct fuse_read_in, "", .fh = 1, .offset = 2, .size = 3, .read_flags = 4,
    .lock_owner = 0x600000005ull, .flags = 7);
  EMIT(FUSE_WRITE, struct fuse_write_in, "data", .fh = 1, .offset = 2, .size = 4,
    .write_flags = 3, .lock_owner = 0x600000005ull, .flags = 7);
  EMIT(FUSE_RELEASE, struct fuse_release_in, "", .fh = 1, .flags = 2, .release_flags = 3,
    .lock_owner = 0x600000005ull);
  EMIT(FUSE_FSYNC, struct fuse_fsync_in, "", .fh = 1, .fsync_flags = FUSE_FSYNC_FDATASYNC);
  EMIT(FUSE_FLUSH, struct fuse_flush_in, "", .fh = 1, .lock_owner = 0x600000005ull);
  EMIT(FUSE_GETXATTR, struct fuse_getxattr_in, "n\0", .size = 1);
  EMIT(FUSE_INIT, struct fuse_init_in, "", .major = 7, .minor = 38, .max_readahead = 3,
    .flags = FUSE_INIT_EXT, .flags2 = 5);
  EMIT(FUSE_GETLK, struct fuse_lk_in, "", .fh = 1, .owner = 0x300000002ull, .lk = { .start = 4,
    .end = 5, .type = 6, .pid = 7 }, .lk_flags = FUSE_LK_FLOCK);
  EMIT(FUSE_ACCESS, struct fuse_access_in, "", .mask = 1);
  EMIT(FUSE_INTERRUPT, struct fuse_interrupt_in, "", .unique = 1);
  EMIT(FUSE_BMAP, struct fuse_bmap_in, "", .block = 1, .blocksize = 2);
  EMIT(FUSE_IOCTL, struct fuse_ioctl_in, "in", .fh = 1, .flags = 2, .cmd = 3,
    .arg = 0x500000004ull, .in_size = 2, .out_size = 6);
  EMIT(FUSE_POLL, struct fuse_poll_in, "", .fh = 1, .kh = 2, .flags = 3, .events = 4);
  EMIT(FUSE_NOTIFY_REPLY, struct fuse_notify_retrieve_in, "abc", .offset = 1, .size = 3);
  EMIT(FUSE_FALLOCATE, struct fuse_fallocate_in, "", .fh = 1, .offset = 2, .length = 3, .mode = 4);
  EMIT(FUSE_LSEEK, struct fuse_lseek_in, "", .fh = 1, .offset = 2, .whence = 3);
  EMIT(FUSE_COPY_FILE_RANGE, struct fuse_copy_file_range_in, "", .fh_in = 1, .off_in = 2,
    .nodeid_out = 3, .fh_out = 4, .off_out = 5, .len = 6, .flags = 7);
  EMIT(FUSE_SYNCFS, struct fuse_syncfs_in, "", 0);
}`;

const OWNER = { lockOwnerLow: 5, lockOwnerHigh: 6 };
const REQUESTS: Record<string, object> = {
  FUSE_FORGET: { op: 'forget', lookups: 11 },
  FUSE_GETATTR: { op: 'getattr', fh: 12 },
  FUSE_SETATTR: {
    op: 'setattr',
    valid: 0x47f,
    fh: 1,
    size: 2,
    atimeMs: 3006,
    mtimeMs: 4007,
    ctimeMs: 5008,
    mode: 9,
    uid: 10,
    gid: 11,
  },
  FUSE_MKNOD: { op: 'mknod', mode: 1, rdev: 2, umask: 3, name: 'n' },
  FUSE_MKDIR: { op: 'mkdir', mode: 1, umask: 2, name: 'n' },
  FUSE_RENAME: { op: 'rename', newParent: 1, flags: 0, name: 'a', newName: 'b' },
  FUSE_RENAME2: { op: 'rename', newParent: 1, flags: 2, name: 'a', newName: 'b' },
  FUSE_LINK: { op: 'link', target: 1, name: 'n' },
  FUSE_OPEN: { op: 'open', flags: 1, openFlags: 2 },
  FUSE_CREATE: { op: 'create', flags: 1, mode: 2, umask: 3, openFlags: 4, name: 'n' },
  FUSE_READ: { op: 'read', fh: 1, offset: 2, size: 3, readFlags: 4, flags: 7, ...OWNER },
  FUSE_WRITE: {
    op: 'write',
    fh: 1,
    offset: 2,
    writeFlags: 3,
    flags: 7,
    ...OWNER,
    data: Buffer.from('data'),
  },
  FUSE_RELEASE: { op: 'release', fh: 1, flags: 2, releaseFlags: 3, ...OWNER },
  FUSE_FSYNC: { op: 'fsync', fh: 1, dataOnly: true },
  FUSE_FLUSH: { op: 'flush', fh: 1, ...OWNER },
  FUSE_GETXATTR: { op: 'getxattr', size: 1, name: 'n' },
  FUSE_INIT: { op: 'init', major: 7, minor: 38, maxReadahead: 3, flags: 1 << 30, flags2: 5 },
  FUSE_GETLK: {
    op: 'getlk',
    fh: 1,
    ownerLow: 2,
    ownerHigh: 3,
    lock: { start: 4, end: 5, type: 6, pid: 7 },
    flock: true,
  },
  FUSE_ACCESS: { op: 'access', mask: 1 },
  FUSE_INTERRUPT: { op: 'interrupt', targetUnique: 1, targetResend: false },
  FUSE_BMAP: { op: 'bmap', block: 1, blockSize: 2 },
  FUSE_IOCTL: {
    op: 'ioctl',
    fh: 1,
    flags: 2,
    cmd: 3,
    argLow: 4,
    argHigh: 5,
    outSize: 6,
    data: Buffer.from('in'),
  },
  FUSE_POLL: { op: 'poll', fh: 1, kh: 2, flags: 3, events: 4 },
  FUSE_NOTIFY_REPLY: { op: 'notify-reply', offset: 1, data: Buffer.from('abc') },
  FUSE_FALLOCATE: { op: 'fallocate', fh: 1, offset: 2, length: 3, mode: 4 },
  FUSE_LSEEK: { op: 'lseek', fh: 1, offset: 2, whence: 3 },
  FUSE_COPY_FILE_RANGE: {
    op: 'copy-file-range',
    fhIn: 1,
    offsetIn: 2,
    nodeIdOut: 3,
    fhOut: 4,
    offsetOut: 5,
    length: 6,
    flags: 7,
  },
  FUSE_SYNCFS: { op: 'syncfs' },
};

const TO = { unique: 0x1_0000_0002, resend: true };
const ATTR: wire.FileAttr = {
  ino: 1,
  size: 2,
  blocks: 3,
  atimeMs: 4001,
  mtimeMs: -4998,
  ctimeMs: 6003,
  mode: 7,
  nlink: 8,
  uid: 9,
  gid: 10,
  rdev: 11,
  blksize: 12,
};
const ENTRY: wire.EntryReply = {
  nodeId: 21,
  generation: 22,
  entryValidMs: 23_024,
  attrValidMs: 25_026,
  attr: ATTR,
};
const ATTR_FIELDS: [string, number][] = [
  ['ino', 1],
  ['size', 2],
  ['blocks', 3],
  ['atime', 4],
  ['mtime', -5],
  ['ctime', 6],
  ['atimensec', 1_000_000],
  ['mtimensec', 2_000_000],
  ['ctimensec', 3_000_000],
  ['mode', 7],
  ['nlink', 8],
  ['uid', 9],
  ['gid', 10],
  ['rdev', 11],
  ['blksize', 12],
  ['flags', 0],
];
const under = (prefix: string, fields: [string, number][]): [string, number][] =>
  fields.map(([name, value]) => [`${prefix}${name}`, value]);
const ENTRY_FIELDS: [string, number][] = [
  ['nodeid', 21],
  ['generation', 22],
  ['entry_valid', 23],
  ['entry_valid_nsec', 24_000_000],
  ['attr_valid', 25],
  ['attr_valid_nsec', 26_000_000],
  ...under('attr.', ATTR_FIELDS),
];
const NAME = 'name' as ByteString;

/** Each: the C type of the body, the encoder, the fields by their C names, bytes behind the struct. */
const REPLIES: {
  type: string;
  encode: (out: Buffer) => number;
  fields: [string, number][];
  tail?: number;
}[] = [
  {
    type: 'struct fuse_entry_out',
    encode: (out) => wire.encodeEntryReply(out, 0, TO, ENTRY),
    fields: ENTRY_FIELDS,
  },
  {
    type: 'struct fuse_attr_out',
    encode: (out) => wire.encodeAttrReply(out, 0, TO, 1002, ATTR),
    fields: [['attr_valid', 1], ['attr_valid_nsec', 2_000_000], ...under('attr.', ATTR_FIELDS)],
  },
  {
    type: 'struct fuse_open_out',
    encode: (out) => wire.encodeOpenReply(out, 0, TO, { fh: 1, openFlags: 2, backingId: 0 }),
    fields: [
      ['fh', 1],
      ['open_flags', 2],
    ],
  },
  {
    type: 'struct { struct fuse_entry_out e; struct fuse_open_out o; }',
    encode: (out) =>
      wire.encodeCreateReply(out, 0, TO, ENTRY, { fh: 1, openFlags: 2, backingId: 0 }),
    fields: [...under('e.', ENTRY_FIELDS), ['o.fh', 1], ['o.open_flags', 2]],
  },
  {
    type: 'struct fuse_init_out',
    encode: (out) =>
      wire.encodeInitReply(out, 0, TO, {
        major: 7,
        minor: 31,
        maxReadahead: 3,
        flags: 4,
        flags2: 5,
        maxBackground: 6,
        congestionThreshold: 8,
        maxWrite: 9,
        timeGran: 10,
        maxPages: 11,
        maxStackDepth: 0,
        requestTimeoutSeconds: 0,
      }),
    fields: [
      ['major', 7],
      ['minor', 31],
      ['max_readahead', 3],
      ['flags', 4],
      ['flags2', 5],
      ['max_background', 6],
      ['congestion_threshold', 8],
      ['max_write', 9],
      ['time_gran', 10],
      ['max_pages', 11],
      ['map_alignment', 0],
    ],
  },
  {
    type: 'struct fuse_statfs_out',
    encode: (out) =>
      wire.encodeStatfsReply(out, 0, TO, {
        blocks: 1,
        bfree: 2,
        bavail: 3,
        files: 4,
        ffree: 5,
        bsize: 6,
        namelen: 7,
        frsize: 8,
      }),
    fields: [
      ['st.blocks', 1],
      ['st.bfree', 2],
      ['st.bavail', 3],
      ['st.files', 4],
      ['st.ffree', 5],
      ['st.bsize', 6],
      ['st.namelen', 7],
      ['st.frsize', 8],
    ],
  },
  {
    type: 'struct fuse_write_out',
    encode: (out) => wire.encodeWriteReply(out, 0, TO, 1),
    fields: [['size', 1]],
  },
  {
    type: 'struct fuse_getxattr_out',
    encode: (out) => wire.encodeXattrSizeReply(out, 0, TO, 1),
    fields: [['size', 1]],
  },
  {
    type: 'struct fuse_lseek_out',
    encode: (out) => wire.encodeLseekReply(out, 0, TO, 1),
    fields: [['offset', 1]],
  },
  {
    type: 'struct fuse_ioctl_out',
    encode: (out) => wire.encodeIoctlReply(out, 0, TO, -1, 0),
    fields: [['result', -1]],
  },
  {
    type: 'struct fuse_lk_out',
    encode: (out) => wire.encodeLockReply(out, 0, TO, { start: 1, end: 2, type: 3, pid: 4 }),
    fields: [
      ['lk.start', 1],
      ['lk.end', 2],
      ['lk.type', 3],
      ['lk.pid', 4],
    ],
  },
  {
    type: 'struct fuse_notify_inval_inode_out',
    encode: (out) => wire.encodeInvalInode(out, 0, 1, -2, -3),
    fields: [
      ['ino', 1],
      ['off', -2],
      ['len', -3],
    ],
  },
  {
    type: 'struct fuse_notify_inval_entry_out',
    encode: (out) => wire.encodeInvalEntry(out, 0, 1, NAME, true),
    fields: [
      ['parent', 1],
      ['namelen', 4],
      ['flags', 1],
    ],
    tail: 5,
  },
  {
    type: 'struct fuse_notify_delete_out',
    encode: (out) => wire.encodeDelete(out, 0, 1, 2, NAME),
    fields: [
      ['parent', 1],
      ['child', 2],
      ['namelen', 4],
    ],
    tail: 5,
  },
  {
    type: 'struct fuse_notify_store_out',
    encode: (out) => wire.encodeStore(out, 0, 1, 2, 0),
    fields: [
      ['nodeid', 1],
      ['offset', 2],
      ['size', 0],
    ],
  },
];

/** Values by their C names. Macros that the installed header does not have yet are left out. */
function constantChecks(): string {
  const macros: [string, number | bigint][] = [
    ...Object.entries(wire.InitFlag).map(([n, v]): [string, number] => [`FUSE_${n}`, v]),
    ...Object.entries(wire.InitFlag2).map(([n, v]): [string, bigint] => [
      `FUSE_${n}`,
      BigInt(v) << 32n,
    ]),
    ...Object.entries(wire.OpenReplyFlag).map(([n, v]): [string, number] => [`FOPEN_${n}`, v]),
    ...Object.entries(wire.SetattrValid).map(([n, v]): [string, number] => [`FATTR_${n}`, v]),
    ...Object.entries(wire.WriteFlag).map(([n, v]): [string, number] => [`FUSE_WRITE_${n}`, v]),
    ...Object.entries(wire.ReleaseFlag).map(([n, v]): [string, number] => [`FUSE_RELEASE_${n}`, v]),
    ...Object.entries(wire.AttrFlag).map(([n, v]): [string, number] => [`FUSE_ATTR_${n}`, v]),
    ...Object.entries(wire.DeviceIoctl).map(([n, v]): [string, number] => [`FUSE_DEV_IOC_${n}`, v]),
    ...Object.entries(wire.Errno),
    ['FUSE_GETATTR_FH', wire.GetattrFlag.FH],
    ['FUSE_READ_LOCKOWNER', wire.ReadFlag.LOCKOWNER],
    ['FUSE_FSYNC_FDATASYNC', wire.FsyncFlag.FDATASYNC],
    ['FUSE_LK_FLOCK', wire.LockFlag.FLOCK],
    ['FUSE_EXPIRE_ONLY', wire.InvalEntryFlag.EXPIRE_ONLY],
    ['FUSE_OPEN_KILL_SUIDGID', wire.OpenRequestFlag.KILL_SUIDGID],
    ['FUSE_ROOT_ID', wire.ROOT_NODE_ID],
    ['FUSE_MIN_READ_BUFFER', wire.requestBufferSize(0)],
    ['FUSE_KERNEL_VERSION', wire.PROTOCOL_MAJOR],
  ];
  // Enumerators cannot be asked for, so those that came after 7.37 are left out.
  const enumerators: [string, number][] = [
    ...Object.entries(wire.Opcode).filter(([, v]) => v <= wire.Opcode.TMPFILE),
    ...Object.entries(wire.NotifyCode)
      .filter(([, v]) => v <= wire.NotifyCode.DELETE)
      .map(([n, v]): [string, number] => [`NOTIFY_${n}`, v]),
  ];
  return [
    ...macros.map(([n, v]) => `#ifdef ${n}\n_Static_assert(${n} == ${v}ull, "${n}");\n#endif`),
    ...enumerators.map(([n, v]) => `_Static_assert(FUSE_${n} == ${v}, "${n}");`),
  ].join('\n');
}

function source(): string {
  const checks = REPLIES.map(({ type, fields, tail }, index) =>
    [
      `  { ${type} b; CHECK_SIZE(${index}, sizeof b + ${tail ?? 0});`,
      `    memcpy(&b, in[${index}] + sizeof(struct fuse_out_header), sizeof b);`,
      ...fields.map(([name, value]) => `    CHECK(${index}, b.${name}, ${value}ll);`),
      '  }',
    ].join('\n'),
  );
  const bytes = REPLIES.map(({ encode }) => {
    const out = Buffer.alloc(512);
    const length = encode(out);
    return { length, text: `{${[...out.subarray(0, length)].join(',')}}` };
  });
  return `
#include <stdio.h>
#include <string.h>
#include <stdint.h>
#include <errno.h>
#include <sys/ioctl.h>
#include <linux/fuse.h>
${constantChecks()}
static void hex(const void *p, size_t n) {
  for (size_t i = 0; i < n; i++) printf("%02x", ((const unsigned char *)p)[i]);
}
${REQUEST_SOURCE}
static const unsigned char in[][512] = { ${bytes.map((one) => one.text).join(',\n')} };
static const size_t lengths[] = { ${bytes.map((one) => one.length).join(', ')} };
static int bad;
/* Signed only where the value is: 64-bit times are unsigned in the struct. */
#define CHECK(i, field, value) if ((long long)(field) != (value)) \\
  { bad = 1; printf("reply %d: %s is %lld\\n", i, #field, (long long)(field)); }
#define CHECK_SIZE(i, size) { struct fuse_out_header h; memcpy(&h, in[i], sizeof h); \\
  if (h.len != lengths[i] || h.len != sizeof h + (size)) \\
    { bad = 1; printf("reply %d: length %u, not %zu\\n", i, h.len, sizeof h + (size)); } \\
  if (h.unique != 0 && h.unique != ((1ull << 63) | 0x100000002ull)) \\
    { bad = 1; printf("reply %d: unique\\n", i); } }
static void replies(void) {
${checks.join('\n')}
}
int main(int argc, char **argv) {
  (void)argv;
  if (argc > 1) requests(); else replies();
  return bad;
}
`;
}

describe('layouts, as the compiler and the kernel header have them', { skip }, () => {
  let directory = '';
  let program = '';

  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'fuse-layout-'));
    program = join(directory, 'layout');
    writeFileSync(`${program}.c`, source());
    execFileSync('gcc', ['-Wall', '-o', program, `${program}.c`], { timeout: TIMEOUT_MS });
  });
  after(() => {
    if (directory !== '') rmSync(directory, { recursive: true, force: true });
  });

  it('requests built in C are decoded', () => {
    const output = execFileSync(program, ['requests'], { encoding: 'utf8', timeout: TIMEOUT_MS });
    const lines = output.trim().split('\n');
    assert.equal(lines.length, Object.keys(REQUESTS).length);
    for (const line of lines) {
      const [name, hex] = line.split(' ');
      assert.ok(name !== undefined && hex !== undefined);
      const bytes = Buffer.from(hex, 'hex');
      const { header, ...request } = new wire.RequestDecoder().decode(bytes, bytes.length);
      assert.deepEqual(request, REQUESTS[name], name);
      assert.deepEqual(
        header,
        {
          len: bytes.length,
          opcode: header.opcode,
          unique: 0x1_0000_0002,
          resend: false,
          nodeId: 0x3_0000_0004,
          uid: 5,
          gid: 6,
          pid: 7,
        },
        name,
      );
      assert.equal(`FUSE_${wire.opcodeName(header.opcode)}`, name);
    }
  });

  it('replies and notifications are read in C', () => {
    const result = spawnSync(program, [], { encoding: 'utf8', timeout: TIMEOUT_MS });
    assert.equal(result.stdout, '');
    assert.equal(result.status, 0);
  });
});
