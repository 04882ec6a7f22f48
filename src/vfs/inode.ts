/**
 * One file or directory that the kernel may name by number. There may be millions, of which nearly all
 * are only remembered: a name, a length, two times. So an inode object has few fields of its own; its
 * numbers lie in typed arrays, where a double takes 8 bytes and not 24, and what only directories or
 * only files in use have is an object that is made when it is needed (decision 011).
 */
import { assert } from '../base/assert.ts';
import type { ByteString } from '../base/byte-string.ts';
import type { BackingMessage, CachedFile } from '../cache/index.ts';
import type { PosixAttributes } from '../store/index.ts';
import { Children } from './children.ts';
import type { ShownListing } from './kernel-listings.ts';
import type { Listing } from './listing.ts';
import type { StagedFile } from './staged-file.ts';
import type { FileKind, InodeId, StatusMessage, VersionMessage } from './types.ts';

/** One version of a file's content, shared by all handles that opened that version. */
export interface Content extends CachedFile {
  /** The same bytes may get another version: a renamed file has a new time in the cluster. */
  version: VersionMessage;
  /** The path holds another version now; whoever still reads this one gets ESTALE. */
  isStale: boolean;
  /** What was written to it was given up, since it was gone: who wrote it is told at every turn. */
  isLost: boolean;
  /** What this mount has written over it: whoever reads this one goes on there. */
  successor: Content | undefined;
  /** When bytes that are here were asked for, the latest of them. */
  fetchedMs: number;
  /** A whole copy on disk, where one is known. */
  backing: BackingMessage | undefined;
  /** When there was none. */
  backingAskedMs: number;
  /** Where the bytes of an unlinked file lie while somebody has it open. */
  keptPath: ByteString | undefined;
}

const LENGTH = 0;
const MTIME = 1;
const CHECKED = 2;
const DOUBLES = 3;

/** The numbers of inodes whose own numbers follow each other. */
export class InodeNumbers {
  readonly firstIno: number;
  readonly doubles: Float64Array;

  constructor(firstIno: number, inodes: number) {
    this.firstIno = firstIno;
    this.doubles = new Float64Array(inodes * DOUBLES);
  }
}

/** What only directories have. */
class DirectoryState {
  readonly serial: number;
  childCount = 0;
  children: Children<Inode> | undefined = undefined;
  listing: Listing | undefined = undefined;
  statsSinceListing = 0;
  listedEntries = 0;
  shown: ShownListing | undefined = undefined;
  more: MoreState | undefined = undefined;

  constructor(serial: number) {
    this.serial = serial;
  }
}

/** What few have: files that were opened or changed, and attributes that only some clusters tell. */
class MoreState {
  contentHash: string | undefined = undefined;
  posix: PosixAttributes | undefined = undefined;
  touchedMs = 0;
  outdatedMs = -Infinity;
  content: Content | undefined = undefined;
  openedContent: Content | undefined = undefined;
  openFiles = 0;
  writers = 0;
  departing: (() => void)[] | undefined = undefined;
  staged: StagedFile | undefined = undefined;
}

const KINDS: readonly FileKind[] = [
  'file',
  'directory',
  'symlink',
  'fifo',
  'character-device',
  'block-device',
  'socket',
];
const KIND_BITS = 0b111;
const DIRECTORY = KINDS.indexOf('directory');
const UNLINKED = 1 << 3;
const LOCAL = 1 << 4;
/** Twelve bits of mode follow this one. */
const HAS_MODE = 1 << 5;
const MODE_SHIFT = 6;
const MODE_BITS = 0o7777;

export class Inode {
  #numbers: InodeNumbers;
  #at: number;
  parent: Inode | undefined;
  name: ByteString;
  lookups = 0;
  openHandles = 0;
  #bits: number;
  /** By its kind. */
  #state: DirectoryState | MoreState | undefined;

  constructor(
    numbers: InodeNumbers,
    at: number,
    parent: Inode | undefined,
    name: ByteString,
    kind: FileKind,
    serial: number,
  ) {
    this.#numbers = numbers;
    this.#at = at * DOUBLES;
    this.parent = parent;
    this.name = name;
    this.#bits = KINDS.indexOf(kind);
    this.#state = kind === 'directory' ? new DirectoryState(serial) : undefined;
  }

  /** Takes in what the cluster says, and when it was asked. */
  take(status: StatusMessage, checkedMs: number): void {
    this.lengthBytes = status.lengthBytes;
    this.mtimeMs = status.mtimeMs;
    this.mode = status.mode;
    this.contentHash = status.contentHash;
    this.posix = status.posix;
    this.checkedMs = checkedMs;
  }

  /** The table gives its place to another: from now on it has its numbers for itself. */
  leave(): void {
    const own = new InodeNumbers(this.ino, 1);
    own.doubles.set(this.#numbers.doubles.subarray(this.#at, this.#at + DOUBLES));
    this.#numbers = own;
    this.#at = 0;
  }

  get ino(): InodeId {
    return (this.#numbers.firstIno + this.#at / DOUBLES) as InodeId;
  }

  get kind(): FileKind {
    return KINDS[this.#bits & KIND_BITS] as FileKind;
  }

  get lengthBytes(): number {
    return this.#numbers.doubles[this.#at + LENGTH] as number;
  }

  set lengthBytes(bytes: number) {
    this.#numbers.doubles[this.#at + LENGTH] = bytes;
  }

  get mtimeMs(): number {
    return this.#numbers.doubles[this.#at + MTIME] as number;
  }

  set mtimeMs(mtimeMs: number) {
    this.#numbers.doubles[this.#at + MTIME] = mtimeMs;
  }

  /** When the cluster was asked for these attributes; -Infinity: must be asked again. */
  get checkedMs(): number {
    return this.#numbers.doubles[this.#at + CHECKED] as number;
  }

  set checkedMs(checkedMs: number) {
    this.#numbers.doubles[this.#at + CHECKED] = checkedMs;
  }

  get mode(): number | undefined {
    return (this.#bits & HAS_MODE) === 0 ? undefined : (this.#bits >> MODE_SHIFT) & MODE_BITS;
  }

  /** Permission bits; there is no room for others. */
  set mode(mode: number | undefined) {
    const others = this.#bits & (HAS_MODE - 1);
    this.#bits =
      mode === undefined ? others : others | HAS_MODE | ((mode & MODE_BITS) << MODE_SHIFT);
  }

  get isUnlinked(): boolean {
    return (this.#bits & UNLINKED) !== 0;
  }

  set isUnlinked(isUnlinked: boolean) {
    this.#bits = isUnlinked ? this.#bits | UNLINKED : this.#bits & ~UNLINKED;
  }

  /** The cluster has nothing under this name yet. */
  get isLocal(): boolean {
    return (this.#bits & LOCAL) !== 0;
  }

  set isLocal(isLocal: boolean) {
    this.#bits = isLocal ? this.#bits | LOCAL : this.#bits & ~LOCAL;
  }

  // Of directories; another kind has none of it.

  /** Unlike `ino` never used again. */
  get serial(): number {
    return this.#directory?.serial ?? 0;
  }

  get childCount(): number {
    return this.#directory?.childCount ?? 0;
  }

  set childCount(count: number) {
    this.#ofDirectory.childCount = count;
  }

  get children(): Children<Inode> | undefined {
    return this.#directory?.children;
  }

  set children(children: Children<Inode> | undefined) {
    this.#ofDirectory.children = children;
  }

  /** The latest listing, complete or under way. */
  get listing(): Listing | undefined {
    return this.#directory?.listing;
  }

  set listing(listing: Listing | undefined) {
    this.#ofDirectory.listing = listing;
  }

  /** Names asked for one by one since there was a listing. */
  get statsSinceListing(): number {
    return this.#directory?.statsSinceListing ?? 0;
  }

  set statsSinceListing(count: number) {
    this.#ofDirectory.statsSinceListing = count;
  }

  /** What the kernel may still keep of its entries. */
  get shown(): ShownListing | undefined {
    return this.#directory?.shown;
  }

  set shown(shown: ShownListing | undefined) {
    this.#ofDirectory.shown = shown;
  }

  /** How many entries the last listing had. */
  get listedEntries(): number {
    return this.#directory?.listedEntries ?? 0;
  }

  set listedEntries(count: number) {
    this.#ofDirectory.listedEntries = count;
  }

  get #directory(): DirectoryState | undefined {
    const isDirectory = (this.#bits & KIND_BITS) === DIRECTORY;
    return isDirectory ? (this.#state as DirectoryState) : undefined;
  }

  get #ofDirectory(): DirectoryState {
    const state = this.#directory;
    assert(state !== undefined, 'What only directories have is set of another inode');
    return state;
  }

  // What few have; to set what a fresh state has anyway makes none.

  get contentHash(): string | undefined {
    return this.#more?.contentHash;
  }

  set contentHash(hash: string | undefined) {
    if (hash !== this.contentHash) this.#madeMore.contentHash = hash;
  }

  get posix(): PosixAttributes | undefined {
    return this.#more?.posix;
  }

  set posix(posix: PosixAttributes | undefined) {
    if (posix !== this.posix) this.#madeMore.posix = posix;
  }

  /** Wall time of the last change made through this mount that the cluster has no time for. */
  get touchedMs(): number {
    return this.#more?.touchedMs ?? 0;
  }

  set touchedMs(touchedMs: number) {
    this.#madeMore.touchedMs = touchedMs;
  }

  /**
   * When a read found that this version was gone, or the directory moved: who saw it, or listed it, before
   * then saw old news.
   */
  get outdatedMs(): number {
    return this.#more?.outdatedMs ?? -Infinity;
  }

  set outdatedMs(outdatedMs: number) {
    this.#madeMore.outdatedMs = outdatedMs;
  }

  /** Of a file: the current version's content, once opened. */
  get content(): Content | undefined {
    return this.#more?.content;
  }

  set content(content: Content | undefined) {
    if (content !== this.content) this.#madeMore.content = content;
  }

  /** The content that the kernel may hold pages of since the last open. */
  get openedContent(): Content | undefined {
    return this.#more?.openedContent;
  }

  set openedContent(content: Content | undefined) {
    if (content !== this.openedContent) this.#madeMore.openedContent = content;
  }

  /** Open handles of files; `openHandles` counts whatever holds the inode. */
  get openFiles(): number {
    return this.#more?.openFiles ?? 0;
  }

  set openFiles(count: number) {
    this.#madeMore.openFiles = count;
  }

  /** Those of them that may write. */
  get writers(): number {
    return this.#more?.writers ?? 0;
  }

  set writers(count: number) {
    this.#madeMore.writers = count;
  }

  /** Of a file whose name is being taken away, and its bytes with it: who waits to open it. */
  get departing(): (() => void)[] | undefined {
    return this.#more?.departing;
  }

  set departing(waiters: (() => void)[] | undefined) {
    if (waiters !== this.departing) this.#madeMore.departing = waiters;
  }

  /** Of a file: changes that the cluster does not have. */
  get staged(): StagedFile | undefined {
    return this.#more?.staged;
  }

  set staged(staged: StagedFile | undefined) {
    if (staged !== this.staged) this.#madeMore.staged = staged;
  }

  get #more(): MoreState | undefined {
    const isDirectory = (this.#bits & KIND_BITS) === DIRECTORY;
    return isDirectory ? (this.#state as DirectoryState).more : (this.#state as MoreState);
  }

  get #madeMore(): MoreState {
    const state = this.#directory;
    if (state !== undefined) return (state.more ??= new MoreState());
    this.#state ??= new MoreState();
    return this.#state as MoreState;
  }
}
