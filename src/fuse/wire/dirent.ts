import type { ByteString } from '../../base/byte-string.ts';
import { ENTRY_SIZE, writeEntry, type EntryReply } from './attr.ts';
import { writeU64 } from './numbers.ts';

/** Size of the fixed part of a record; the name follows, padded with zeros to 8 bytes. */
const DIRENT_SIZE = 24;

function paddedSize(fixed: number, nameLength: number): number {
  return (fixed + nameLength + 7) & ~7;
}

/**
 *  0 u64 ino  8 u64 off (of the NEXT entry)  16 u32 namelen  20 u32 type  24 name
 */
function writeDirent(
  out: Buffer,
  at: number,
  end: number,
  name: ByteString,
  ino: number,
  type: number,
  nextOffset: number,
): void {
  writeU64(out, at, ino);
  writeU64(out, at + 8, nextOffset);
  out.writeUInt32LE(name.length, at + 16);
  out.writeUInt32LE(type, at + 20);
  const nameEnd = at + DIRENT_SIZE + out.write(name, at + DIRENT_SIZE, 'latin1');
  for (let i = nameEnd; i < end; i++) out[i] = 0;
}

/** The kernel fails the whole listing with EIO on such a name; whoever lists filters them out. */
function checkName(name: ByteString): void {
  if (name.length === 0 || name.includes('/') || name.includes('\0')) {
    throw new RangeError('a directory entry needs a name without slash and NUL');
  }
}

class RecordBuffer {
  protected out: Buffer = Buffer.alloc(0);
  protected start = 0;
  protected at = 0;
  protected end = 0;

  /**
   * Begins a new listing in `out` at `start`, of at most `size` bytes (what the request asks for).
   */
  begin(out: Buffer, start: number, size: number): void {
    if (start + size > out.length) throw new RangeError('the buffer is shorter than the listing');
    this.out = out;
    this.start = start;
    this.at = start;
    this.end = start + size;
  }

  /** Bytes written since `begin`. 0 is the end of the directory for the kernel. */
  get length(): number {
    return this.at - this.start;
  }
}

/** Body of the reply to READDIR. Used again and again; allocates nothing for each entry. */
export class DirentWriter extends RecordBuffer {
  /**
   * False, and nothing written, where the entry does not fit: it begins the next reply. (Where not
   * even the first one fits, answer EINVAL: an empty reply would be the end. The kernel asks for 4096
   * bytes at least, which hold any name of 255 bytes.)
   *
   * `type` is a `DirentType`, `nextOffset` what the next READDIR shall begin with; never 0, and not
   * above 2^53.
   */
  append(name: ByteString, ino: number, type: number, nextOffset: number): boolean {
    checkName(name);
    const at = this.at;
    const end = at + paddedSize(DIRENT_SIZE, name.length);
    if (end > this.end) return false;
    writeDirent(this.out, at, end, name, ino, type, nextOffset);
    this.at = end;
    return true;
  }
}

/** Body of the reply to READDIRPLUS. */
export class DirentPlusWriter extends RecordBuffer {
  /**
   * As `DirentWriter.append`. With an `entry` the kernel also learns the inode, and the lookup count
   * of its node is raised by one if true is returned. Null leaves it at the name: "." and ".." always,
   * others where their attributes are not known yet.
   */
  append(
    name: ByteString,
    entry: EntryReply | null,
    ino: number,
    type: number,
    nextOffset: number,
  ): boolean {
    checkName(name);
    const at = this.at;
    const end = at + paddedSize(ENTRY_SIZE + DIRENT_SIZE, name.length);
    if (end > this.end) return false;
    if (entry === null) this.out.fill(0, at, at + ENTRY_SIZE);
    else writeEntry(this.out, at, entry);
    writeDirent(this.out, at + ENTRY_SIZE, end, name, ino, type, nextOffset);
    this.at = end;
    return true;
  }
}
