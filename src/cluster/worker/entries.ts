/**
 * The JSON of `/v1/files` and `/v1/info`: a top-level array of entries, parsed as it arrives, so
 * that the first entries of a long listing are there early and the whole is never held.
 */
import { byteStringOfText, NAME_BYTES_MAX, type ByteString } from '../../base/byte-string.ts';
import type { Mutable } from '../../base/mutable.ts';
import type { InexpressibleReason } from '../cluster-events.ts';
import { ClusterError, type FileStatus } from '../types.ts';

/** An entry with what else it says about itself, for the caller to check. */
export interface Entry {
  readonly status: FileStatus;
  /** `mPath`, where given. */
  readonly path: ByteString | undefined;
  /** `mUfsPath`, where given. */
  readonly ufsPath: string | undefined;
}

/** An entry that must not be shown, for it would be shown under a wrong name. */
export interface Dropped {
  readonly dropped: InexpressibleReason;
  /** What it says its place in the under store is. */
  readonly ufsPath: string;
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
/** Longer than any entry: a path of 4096 bytes, escaped six to one, four times. */
const maxEntryBytes = 256 * 1024;

const quote = 0x22;
const backslash = 0x5c;
const openBrace = 0x7b;
const closeBrace = 0x7d;
const openBracket = 0x5b;
const closeBracket = 0x5d;
const comma = 0x2c;

/** Splits the array into its objects, and parses those that are complete in each chunk at once. */
export class EntryScanner {
  #pending: Buffer = Buffer.alloc(0);
  /** Position in `#pending` up to which the state below holds. */
  #position = 0;
  #depth = 0;
  #inString = false;
  #escaped = false;
  #state: 'before' | 'open' | 'after-entry' | 'after-comma' | 'closed' = 'before';

  /** Entries completed by this chunk. Throws `protocol` at the first byte that cannot be right. */
  push(chunk: Uint8Array): unknown[] {
    const bytes =
      this.#pending.length === 0
        ? Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
        : Buffer.concat([this.#pending, chunk]);
    const early = this.#depth > 0 ? this.#takeWhole(bytes) : [];
    const end = this.#scan(bytes);
    const late = end.from < end.to ? parseObjects(bytes.subarray(end.from, end.to)) : [];
    const rest = end.restFrom;
    if (bytes.length - rest > maxEntryBytes) throw malformed('an entry is too long');
    // Copied: the chunk belongs to the socket.
    this.#pending = Buffer.from(bytes.subarray(rest));
    this.#position = this.#pending.length;
    return early.length === 0 ? late : [...early, ...late];
  }

  /**
   * All entries but the last few, without looking at every byte: what JSON takes from the beginning of an
   * entry on has been cut at the end of one. Nothing where it does not, and the scan judges.
   */
  #takeWhole(bytes: Buffer): unknown[] {
    const to = bytes.lastIndexOf('},') + 1;
    if (to === 0) return [];
    const found = objectsIn(bytes.subarray(0, to));
    if (!Array.isArray(found)) return [];
    this.#depth = 0;
    this.#inString = false;
    this.#escaped = false;
    this.#state = 'after-entry';
    this.#position = to;
    return found;
  }

  end(): void {
    if (this.#state !== 'closed') throw malformed('it ends too early');
  }

  #scan(bytes: Buffer): { from: number; to: number; restFrom: number } {
    let from = -1;
    let to = 0;
    let start = this.#depth > 0 ? 0 : -1;
    for (let index = this.#position; index < bytes.length; index += 1) {
      const byte = bytes[index] ?? 0;
      if (this.#inString) {
        if (this.#escaped) this.#escaped = false;
        else if (byte === backslash) this.#escaped = true;
        else if (byte === quote) this.#inString = false;
      } else if (this.#depth > 0) {
        if (byte === quote) this.#inString = true;
        else if (byte === openBrace || byte === openBracket) this.#depth += 1;
        else if (byte === closeBrace || byte === closeBracket) {
          this.#depth -= 1;
          if (this.#depth === 0) {
            if (from < 0) from = start;
            to = index + 1;
            start = -1;
            this.#state = 'after-entry';
          }
        }
      } else if (this.#between(byte)) {
        start = index;
        this.#depth = 1;
      }
    }
    return { from: from < 0 ? 0 : from, to, restFrom: start >= 0 ? start : bytes.length };
  }

  /** One byte outside of any entry; true where an entry begins. */
  #between(byte: number): boolean {
    if (byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09) return false;
    const state = this.#state;
    if (state === 'before' && byte === openBracket) this.#state = 'open';
    else if ((state === 'open' || state === 'after-comma') && byte === openBrace) return true;
    else if (state === 'after-entry' && byte === comma) this.#state = 'after-comma';
    else if ((state === 'after-entry' || state === 'open') && byte === closeBracket) {
      this.#state = 'closed';
    } else throw malformed(`unexpected byte ${byte}`);
    return false;
  }
}

/** An array, or what is wrong with it. */
function objectsIn(bytes: Buffer): unknown[] | Error {
  try {
    return JSON.parse(`[${utf8.decode(bytes)}]`) as unknown[];
  } catch (error) {
    return error as Error;
  }
}

function parseObjects(bytes: Buffer): unknown[] {
  const found = objectsIn(bytes);
  if (!Array.isArray(found)) throw malformed('it is not JSON in UTF-8', found);
  return found;
}

export function parseEntries(body: Uint8Array): unknown[] {
  const scanner = new EntryScanner();
  const found = scanner.push(body);
  scanner.end();
  return found;
}

/** Throws `protocol` where a field that we need is missing or senseless. */
export function readEntry(value: unknown): Entry | Dropped {
  if (typeof value !== 'object' || value === null) throw malformed('an entry is not an object');
  const fields = value as Readonly<Record<string, unknown>>;
  const type = fields['mType'];
  if (type !== 'file' && type !== 'directory')
    throw malformed('mType is neither file nor directory');
  const path = textField(fields, 'mPath');
  const ufsPath = textField(fields, 'mUfsPath');
  const name = textField(fields, 'mName') ?? lastPart(path ?? ufsPath ?? '');
  const lengthBytes = type === 'file' ? numberField(fields, 'mLength') : 0;
  if (lengthBytes === undefined) throw malformed('mLength is missing');

  const root = path === '/';
  if (!root) {
    // The worker takes a backslash for a slash: the name it gives is then that of another file.
    const said = ufsPath === undefined ? name : lastPart(ufsPath);
    if (said.includes('\\')) return { dropped: 'backslash', ufsPath: ufsPath ?? name };
    // A mount point has its own name, whatever the root of its under store is called.
    const isMount = type === 'directory' && isDirectlyUnderRoot(path) && !said.includes('?');
    const isSaid = said === name || isMount;
    if (!isSaid || (path !== undefined && lastPart(path) !== name) || !isName(name)) {
      return { dropped: 'other', ufsPath: ufsPath ?? name };
    }
    if (hasLoneSurrogate(name)) return { dropped: 'invalid-utf8', ufsPath: ufsPath ?? name };
  }
  const status: Mutable<FileStatus> = {
    name: root ? ('' as ByteString) : byteStringOfText(name),
    type,
    lengthBytes,
    mtimeMs: numberField(fields, 'mLastModificationTimeMs') ?? 0,
  };
  const mode = numberField(fields, 'mMode');
  const owner = textField(fields, 'mOwner');
  const group = textField(fields, 'mGroup');
  const contentHash = textField(fields, 'mContentHash');
  if (mode !== undefined) status.mode = mode & 0o7777;
  if (owner !== undefined) status.owner = owner;
  if (group !== undefined) status.group = group;
  if (contentHash !== undefined) status.contentHash = contentHash;
  return { status, path: path === undefined ? undefined : byteStringOfText(path), ufsPath };
}

function isDirectlyUnderRoot(path: string | undefined): boolean {
  return path?.lastIndexOf('/') === 0;
}

/** A name that a directory can hold. */
function isName(name: string): boolean {
  return (
    name !== '' &&
    name !== '.' &&
    name !== '..' &&
    !name.includes('/') &&
    !name.includes('\0') &&
    Buffer.byteLength(name) <= NAME_BYTES_MAX
  );
}

const loneSurrogate = /\p{Surrogate}/u;

function hasLoneSurrogate(text: string): boolean {
  return loneSurrogate.test(text);
}

function lastPart(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

function textField(fields: Readonly<Record<string, unknown>>, name: string): string | undefined {
  const value = fields[name];
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'string') throw malformed(`${name} is not a string`);
  return value === '' ? undefined : value;
}

function numberField(fields: Readonly<Record<string, unknown>>, name: string): number | undefined {
  const value = fields[name];
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) {
    throw malformed(`${name} is not a whole number`);
  }
  return value;
}

function malformed(why: string, cause?: unknown): ClusterError {
  return new ClusterError('protocol', `The worker's list of entries is malformed: ${why}`, {
    retryable: true,
    cause,
  });
}
