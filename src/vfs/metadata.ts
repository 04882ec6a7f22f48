/**
 * Names and attributes: what is known is answered at once, what is not is asked once for all who
 * wait. Listings feed the same knowledge, since every single question is a round trip.
 */
import { LRUCache } from 'lru-cache';
import type { ByteString } from '../base/byte-string.ts';
import { joinPath } from '../base/byte-string.ts';
import { Contents } from './contents.ts';
import { isSameVersion } from './inode-table.ts';
import type { Content, Inode } from './inode.ts';
import { Listing } from './listing.ts';
import { Listings } from './listings.ts';
import { OwnChanges } from './own-changes.ts';
import type { StagedFile } from './staged-file.ts';
import type { CoreContext } from './context.ts';
import {
  doubtBelow,
  isCoarserTime,
  isOurs,
  lacksTime,
  nameKey,
  statusOf,
  versionOf,
} from './versions.ts';
import { failureOf } from './pending.ts';
import type { FsErrorCode, JobResult, RequestId, StatusMessage, VersionMessage } from './types.ts';

/** Names known not to exist: a path search (python, linkers) asks for thousands, not millions. */
const NEGATIVES_MAX = 65_536;

/** What a question about a name or an inode comes to. */
export interface ResolveWaiter {
  found(inode: Inode): void;
  /** Believed for so long from now. */
  absent(ttlMs: number): void;
  failed(code: FsErrorCode): void;
}

interface Question {
  readonly parent: Inode;
  readonly name: ByteString;
  readonly path: ByteString;
  readonly askedMs: number;
  /** How many this mount had made by then. */
  readonly ownChanges: number;
  readonly waiters: ResolveWaiter[];
}

export class Metadata {
  readonly #context: CoreContext;
  /** Expiry by `nameKey`. */
  readonly #negatives = new LRUCache<string, number>({ max: NEGATIVES_MAX });
  readonly #listings: Listings;
  readonly #contents: Contents;
  /** Waiters by what is asked, as `nameKey`. */
  readonly #asking = new Map<string, ResolveWaiter[]>();
  readonly #own = new OwnChanges();

  constructor(context: CoreContext) {
    this.#context = context;
    this.#contents = new Contents(context);
    this.#listings = new Listings(context, this.#own, {
      settle: (directory, listing) => this.#settleNames(directory, listing),
      release: (directory) => this.release(directory),
    });
  }

  attrTtlMs(inode: Inode): number {
    // The root is ours; its attributes never expire.
    if (inode.parent === undefined) return this.#context.options.attrTimeoutMs;
    // What was changed here is known better here than anywhere.
    if (isOurs(inode)) return this.#context.options.attrTimeoutMs;
    return this.#remaining(inode.checkedMs, this.#context.options.attrTimeoutMs);
  }

  entryTtlMs(inode: Inode): number {
    if (isOurs(inode)) return this.#context.options.entryTimeoutMs;
    return this.#remaining(inode.checkedMs, this.#context.options.entryTimeoutMs);
  }

  #remaining(checkedMs: number, timeoutMs: number): number {
    return Math.max(0, checkedMs + timeoutMs - this.#context.clock.nowMs());
  }

  /** Finds a name. The waiter is called at once, or when the cluster has answered. */
  resolve(parent: Inode, name: ByteString, waiter: ResolveWaiter): void {
    const known = this.#context.inodes.child(parent, name);
    const isKnown = known !== undefined && this.entryTtlMs(known) > 0 && this.attrTtlMs(known) > 0;
    if (known !== undefined && (isKnown || isOurs(known))) {
      this.#context.counters.add('lookupsFromCache');
      waiter.found(known);
      return;
    }
    const listing = parent.listing;
    if (listing?.isFresh(this.#context) === true) {
      const status = listing.find(name);
      if (status !== undefined && !lacksTime(known, status)) {
        this.#context.counters.add('lookupsFromCache');
        this.#tell([waiter], this.adoptListed(parent, name, status, listing));
        return;
      }
      const isProof =
        (listing.isCertain &&
          this.#remaining(listing.startedMs, this.#context.options.negativeTimeoutMs) > 0) ||
        this.#context.options.provesAbsence(name);
      if (status === undefined && listing.isComplete && isProof) {
        this.#context.counters.add('lookupsFromCache');
        const listedTtlMs = this.#remaining(
          listing.startedMs,
          this.#context.options.entryTimeoutMs,
        );
        waiter.absent(Math.min(listedTtlMs, this.#context.options.negativeTimeoutMs));
        return;
      }
    }
    const absentTtlMs = this.#absentTtlMs(parent, name);
    if (absentTtlMs > 0) {
      this.#context.counters.add('lookupsFromCache');
      waiter.absent(absentTtlMs);
      return;
    }
    this.#context.counters.add('lookupsFromCluster');
    this.#ask(parent, name, waiter);
  }

  #absentTtlMs(parent: Inode, name: ByteString): number {
    const expiryMs = this.#negatives.get(nameKey(parent, name)) ?? -Infinity;
    return Math.max(0, expiryMs - this.#context.clock.nowMs());
  }

  /** Not deleted: with its last entry, the cache sweeps all the room that it has. */
  #notAbsent(parent: Inode, name: ByteString): void {
    if (this.#negatives.size === 0) return;
    const key = nameKey(parent, name);
    if (this.#negatives.has(key)) this.#negatives.set(key, -Infinity);
  }

  /** Makes sure that the attributes are within their TTL. */
  refresh(inode: Inode, waiter: ResolveWaiter): void {
    const { parent } = inode;
    if (parent === undefined || this.attrTtlMs(inode) > 0 || isOurs(inode)) {
      waiter.found(inode);
      return;
    }
    if (this.#context.inodes.child(parent, inode.name) !== inode) {
      // The name is another inode by now: this one is only still open somewhere.
      waiter.failed('stale');
      return;
    }
    const { name } = inode;
    // What this mount has given another name meanwhile, or none, is asked for as that.
    const again = (otherwise: () => void): void => {
      const isNamed = inode.parent === parent && inode.name === name && !inode.isUnlinked;
      if (isNamed) otherwise();
      else this.refresh(inode, waiter);
    };
    this.#ask(parent, name, {
      found: (fresh) => (fresh === inode ? waiter.found(fresh) : again(() => waiter.found(fresh))),
      absent: (ttlMs) => again(() => waiter.absent(ttlMs)),
      failed: (code) => waiter.failed(code),
    });
  }

  /** Asks for the file itself, however well its attributes are known. */
  verify(inode: Inode, waiter: ResolveWaiter): void {
    const { parent, name } = inode;
    if (parent === undefined || this.#context.inodes.child(parent, name) !== inode) {
      waiter.failed('stale');
    } else this.#ask(parent, name, waiter);
  }

  /** One question per name under way, however many wait for the answer. */
  #ask(parent: Inode, name: ByteString, waiter: ResolveWaiter): void {
    const key = nameKey(parent, name);
    const waiters = this.#asking.get(key);
    if (waiters !== undefined) {
      waiters.push(waiter);
      return;
    }
    const question: Question = {
      parent,
      name,
      path: joinPath(this.#context.inodes.path(parent), name),
      askedMs: this.#context.clock.nowMs(),
      ownChanges: this.#own.count,
      waiters: [waiter],
    };
    this.#asking.set(key, question.waiters);
    this.#look(question, question.path, (result) => {
      this.#asking.delete(key);
      this.#answered(question, result);
    });
  }

  #look({ parent }: Question, path: ByteString, done: (result: JobResult) => void): void {
    // The parent must not leave the table while the question is under way.
    parent.openHandles++;
    this.#context.jobs.submit(
      (id) => ({ kind: 'stat', id, path }),
      (result) => {
        done(result);
        parent.openHandles--;
        this.release(parent);
        return true;
      },
    );
  }

  #answered(question: Question, result: JobResult): void {
    const { parent, name, path, askedMs, waiters } = question;
    const { inodes, moves } = this.#context;
    const known = inodes.child(parent, name);
    if (known !== undefined && isOurs(known)) this.#tell(waiters, known);
    else if (this.#isOvertaken(question)) this.#askAgain(question);
    else if (result.kind === 'status') {
      const isFile = known?.kind === 'file' && result.status.kind === 'file';
      if (isFile && moves.has(known) && !isSameVersion(known, result.status)) {
        // It may be what takes its place.
        this.#askWhenStill(question);
        return;
      }
      this.#confirm(parent, name, true);
      // Before anybody is told: who asks next finds the listing on its way.
      this.#listings.listWhenWorthwhile(parent);
      this.#tell(waiters, this.adopt(parent, name, result.status, askedMs));
    } else if (result.kind === 'failed' && result.code === 'not-found') {
      const top = moves.topOf(known ?? parent);
      if (top === undefined) this.#absent(question);
      else if (top === known) this.#askWhenStill(question);
      else {
        // It may have gone ahead: then so has the directory, which goes as a whole.
        this.#look(question, inodes.path(top), (found) => {
          const hasGone = found.kind === 'failed' && found.code === 'not-found';
          if (this.#isOvertaken(question)) this.#askAgain(question);
          else if (hasGone) this.#askWhenStill(question);
          else this.#absent(question);
        });
      }
    } else {
      const { code, reason } = failureOf(result);
      this.#context.effects.report({ code, path, reason });
      for (const each of waiters) each.failed(code);
    }
  }

  /** Asked after our change of the name, the cluster has told whether it is there. */
  #confirm(parent: Inode, name: ByteString, isThere: boolean): void {
    const parentPath = this.#context.inodes.path(parent);
    const own = this.#own.find(parentPath, name);
    // Somebody else has made or removed it since.
    if (own !== undefined && (own.status !== undefined) !== isThere) {
      this.#own.forget(parentPath, name);
    }
  }

  /** This mount has changed the name, or moved the directory, since it was asked. */
  #isOvertaken({ parent, name, path, ownChanges }: Question): boolean {
    const parentPath = this.#context.inodes.path(parent);
    const own = this.#own.find(parentPath, name);
    return (own !== undefined && own.number > ownChanges) || joinPath(parentPath, name) !== path;
  }

  #askAgain({ parent, name, waiters }: Question): void {
    for (const each of waiters) this.resolve(parent, name, each);
  }

  #askWhenStill(question: Question): void {
    const { parent, name } = question;
    parent.openHandles++;
    this.#context.moves.whenStill(this.#context.inodes.child(parent, name) ?? parent, () => {
      this.#askAgain(question);
      parent.openHandles--;
      this.release(parent);
    });
  }

  #absent({ parent, name, askedMs, waiters }: Question): void {
    const known = this.#context.inodes.child(parent, name);
    // Something asked later has found it: this answer is the older news.
    if (known !== undefined && known.checkedMs > askedMs) this.#tell(waiters, known);
    else {
      this.#confirm(parent, name, false);
      this.#markAbsent(parent, name, askedMs);
      const ttlMs = this.#absentTtlMs(parent, name);
      for (const each of waiters) each.absent(ttlMs);
    }
  }

  #tell(waiters: readonly ResolveWaiter[], inode: Inode): void {
    // Nobody may want it any more; until then it must not leave the table.
    inode.openHandles++;
    for (const each of waiters) each.found(inode);
    inode.openHandles--;
    this.release(inode);
  }

  /** As with what exists, age counts from the question. */
  #markAbsent(parent: Inode, name: ByteString, askedMs: number): void {
    const known = this.#context.inodes.child(parent, name);
    if (known !== undefined) this.#forgetName(known);
    const expiryMs = askedMs + this.#context.options.negativeTimeoutMs;
    if (expiryMs > this.#context.clock.nowMs()) {
      this.#negatives.set(nameKey(parent, name), expiryMs);
    }
  }

  /** The name leads elsewhere or nowhere now; whoever has the inode open sees ESTALE. */
  #forgetName(inode: Inode): void {
    this.#context.inodes.detach(inode);
    this.#contents.drop(inode);
    inode.checkedMs = -Infinity;
    if (inode.lookups > 0 && inode.parent !== undefined) {
      this.#context.effects.invalidateEntry(inode.parent.ino, inode.name);
    }
  }

  /** The like for an entry of a listing. What a listing leaves open is asked when it matters. */
  adoptListed(parent: Inode, name: ByteString, status: StatusMessage, listing: Listing): Inode {
    const known = this.#context.inodes.child(parent, name);
    // Workers keep listings for days: what was told of the file itself since then is newer.
    if (known?.kind === 'file' && status.kind === 'file' && known.mtimeMs > status.mtimeMs) {
      return known;
    }
    if (known !== undefined && isOurs(known)) return known;
    const isOpen = lacksTime(known, status) || listing.startedMs <= parent.outdatedMs;
    const checkedMs = isOpen ? -Infinity : listing.startedMs;
    return this.#adopt(parent, name, known, status, checkedMs);
  }

  /** Takes in what the cluster said of a name at `checkedMs`; the name's inode, maybe a new one. */
  adopt(parent: Inode, name: ByteString, status: StatusMessage, checkedMs: number): Inode {
    const known = this.#context.inodes.child(parent, name);
    return this.#adopt(parent, name, known, status, checkedMs);
  }

  #adopt(
    parent: Inode,
    name: ByteString,
    known: Inode | undefined,
    status: StatusMessage,
    checkedMs: number,
  ): Inode {
    this.#notAbsent(parent, name);
    if (known !== undefined && (known.checkedMs > checkedMs || isOurs(known))) return known;
    const isSame =
      known !== undefined && (isSameVersion(known, status) || isCoarserTime(known, status));
    // For another version of what must not change, the name gets another inode.
    const isOther = known?.kind !== status.kind || (!isSame && this.#contents.isFixed(known));
    // What takes the place of a file is not told of as that file.
    if (!isSame && known?.kind === 'file' && this.#context.moves.has(known)) return known;
    if (known === undefined || isOther) {
      if (known !== undefined) this.#forgetName(known);
      return this.#context.inodes.create(parent, name, status, checkedMs);
    }
    // An earlier look at the version that is known to be gone since.
    if (isSame && checkedMs <= known.outdatedMs) return known;
    if (!isSame) {
      if (known.kind === 'file') this.#contents.drop(known);
      known.lengthBytes = status.lengthBytes;
      known.mtimeMs = status.mtimeMs;
      known.contentHash = status.contentHash;
    }
    known.mode = status.mode;
    known.posix = status.posix;
    known.checkedMs = checkedMs;
    return known;
  }

  /** A read found that the cluster holds another version than the one opened. */
  versionChanged(inode: Inode, content: Content): void {
    if (inode.content === content) {
      inode.checkedMs = -Infinity;
      inode.outdatedMs = this.#context.clock.nowMs();
      if (!this.#contents.isFixed(inode)) this.#contents.drop(inode);
      else {
        // It may be what told of the version that is gone.
        this.#listings.forget(inode.parent as Inode);
        this.#forgetName(inode);
      }
    }
    content.isStale = true;
  }

  /** The content of the inode's present version, with whatever pages are still cached of it. */
  contentOf(inode: Inode): Content {
    return this.#contents.of(inode);
  }

  /** Lets an inode go if nothing holds it; its cached pages stay for the next who asks. */
  release(inode: Inode): void {
    this.#context.inodes.release(inode, (gone) => {
      this.#contents.park(gone);
      this.#context.implicit.forget(gone);
      this.#listings.forget(gone);
    });
  }

  /** Keeps inodes in the table until the returned function is called. */
  hold(inodes: readonly Inode[]): () => void {
    for (const inode of inodes) inode.openHandles++;
    return () => {
      for (const inode of inodes) {
        inode.openHandles--;
        this.release(inode);
      }
    };
  }

  /** The directory's listing: the one at hand if it is fresh or arriving, else a new one. */
  list(directory: Inode): Listing {
    return this.#listings.list(directory);
  }

  /** Known children learn what the listing said of them; those it lacks are gone. */
  #settleNames(directory: Inode, listing: Listing): void {
    for (const child of directory.children?.values() ?? []) {
      const { name } = child;
      // Most have it from this listing, and there may be a million of them.
      if (isOurs(child) || child.checkedMs >= listing.startedMs) continue;
      if (this.#context.moves.has(child)) continue;
      const status = listing.find(name);
      // Another kind is another inode, to be made for whoever asks for it.
      if (status?.kind === child.kind) {
        // Of a fixed version that is gone this made another, which nobody has asked for.
        this.release(this.adoptListed(directory, name, status, listing));
      } else if (status !== undefined || this.#context.options.provesAbsence(name)) {
        this.#forgetName(child);
      }
    }
  }

  // What this mount changes.

  /** A file that nobody else knows of before it is saved. */
  makeLocal(parent: Inode, name: ByteString): Inode {
    const known = this.#context.inodes.child(parent, name);
    if (known !== undefined) this.#forgetName(known);
    const mtimeMs = this.#context.wallNowMs();
    const status: StatusMessage = {
      kind: 'file',
      lengthBytes: 0,
      mtimeMs,
      mode: undefined,
      contentHash: undefined,
    };
    const inode = this.#context.inodes.create(parent, name, status, this.#context.clock.nowMs());
    inode.isLocal = true;
    inode.touchedMs = mtimeMs;
    this.#noteName(parent, name, status);
    return inode;
  }

  #noteName(parent: Inode, name: ByteString, status: StatusMessage): void {
    this.#notAbsent(parent, name);
    this.#own.note(this.#context.inodes.path(parent), name, {
      status,
      goneMtimeMs: -Infinity,
      atMs: this.#context.clock.nowMs(),
    });
    parent.listing?.put(name, status);
  }

  #noteAbsence(parent: Inode, name: ByteString, goneMtimeMs: number): void {
    const atMs = this.#context.clock.nowMs();
    const path = this.#context.inodes.path(parent);
    this.#own.note(path, name, { status: undefined, goneMtimeMs, atMs });
    this.#negatives.set(nameKey(parent, name), atMs + this.#context.options.negativeTimeoutMs);
    parent.listing?.hide(name);
  }

  /** The cluster has made it for us. */
  noteMade(parent: Inode, name: ByteString, status: StatusMessage): Inode {
    this.#noteName(parent, name, status);
    const madeMs = this.#context.clock.nowMs();
    const inode = this.adopt(parent, name, status, madeMs);
    inode.touchedMs = this.#context.wallNowMs();
    if (inode.kind === 'directory') {
      // Programs fill what they make, name by name, each of which they look for first.
      inode.listing = Listing.ofNew(madeMs, this.#own.count);
      this.#listings.keep(inode, inode.listing);
    }
    return inode;
  }

  /** We have taken the name away; the inode stays for whoever has it open. */
  noteGone(parent: Inode, name: ByteString, inode: Inode): void {
    this.#context.inodes.detach(inode);
    this.#noteAbsence(parent, name, inode.mtimeMs);
  }

  noteMoved(inode: Inode, parent: Inode, name: ByteString): void {
    const { inodes, clock } = this.#context;
    const oldParent = inode.parent as Inode;
    const oldPath = inodes.path(inode);
    this.#noteAbsence(oldParent, inode.name, inode.mtimeMs);
    const replaced = inodes.child(parent, name);
    if (replaced !== undefined) {
      replaced.isUnlinked = true;
      inodes.detach(replaced);
    }
    inodes.move(inode, parent, name);
    this.#noteName(parent, name, statusOf(inode));
    inode.checkedMs = clock.nowMs();
    if (inode.kind === 'directory') {
      this.#own.move(oldPath, inodes.path(inode));
      doubtBelow(inode, inode.checkedMs, (directory) => this.#listings.forget(directory));
    }
  }

  /** Its entries have changed: a time that a program has set before does not hold any more. */
  entriesChanged(directory: Inode): void {
    directory.touchedMs = this.#context.wallNowMs();
    if (directory.posix?.mtimeMs === undefined) return;
    const { mtimeMs: _, ...rest } = directory.posix;
    directory.posix = rest;
    this.noteChanged(directory);
  }

  /**
   * Before an entry comes or goes that the cluster does not know: only with those it knows does it
   * forget a time that a program has set for the directory.
   */
  beforeLocalChange(request: RequestId, directory: Inode, run: () => void): void {
    const { asking, effects, inodes, jobs } = this.#context;
    if (directory.posix?.mtimeMs === undefined) {
      run();
      return;
    }
    const path = inodes.path(directory);
    directory.openHandles++;
    const start = (settle: (error: FsErrorCode | undefined) => void): void =>
      jobs.submit(
        (id) => ({ kind: 'touch-directory', id, path }),
        (result) => {
          if (result.kind === 'failed') {
            effects.report({ code: result.code, path, reason: result.reason });
            settle(result.code);
          } else {
            this.entriesChanged(directory);
            settle(undefined);
          }
          directory.openHandles--;
          this.release(directory);
          return true;
        },
      );
    asking.until(request, start, run);
  }

  /** Its attributes are others than a listing at hand may show. */
  noteChanged(inode: Inode): void {
    if (inode.parent === undefined || inode.isUnlinked) return;
    this.#noteName(inode.parent, inode.name, statusOf(inode));
  }

  /** The same bytes under another version: a move has made a copy of the file in the cluster. */
  reversioned(inode: Inode, status: StatusMessage | undefined): void {
    if (status === undefined || status.kind !== inode.kind) {
      inode.checkedMs = -Infinity;
      return;
    }
    if (inode.kind === 'file' && status.lengthBytes !== inode.lengthBytes)
      this.#contents.drop(inode);
    this.#setVersion(inode, status);
    if (inode.content !== undefined) inode.content.version = versionOf(status);
    if (inode.parent !== undefined) this.#noteName(inode.parent, inode.name, status);
  }

  #setVersion(inode: Inode, status: StatusMessage): void {
    inode.lengthBytes = status.lengthBytes;
    inode.mtimeMs = status.mtimeMs;
    inode.mode = status.mode;
    inode.contentHash = status.contentHash;
    inode.posix = status.posix;
    inode.checkedMs = this.#context.clock.nowMs();
  }

  /** The unlinked file's bytes lie elsewhere as long as somebody has it open. */
  kept(inode: Inode, path: ByteString, version: VersionMessage): void {
    const content = this.contentOf(inode);
    content.keptPath = path;
    content.version = version;
  }

  /** The cluster has what was staged: it is a version like any other from here on. */
  saved(inode: Inode, staged: StagedFile, status: StatusMessage): void {
    this.#contents.saved(inode, staged, versionOf(status));
    inode.isLocal = false;
    this.#setVersion(inode, status);
    if (inode.parent !== undefined && !inode.isUnlinked) {
      this.#noteName(inode.parent, inode.name, status);
    }
  }
}
