/**
 * Listing the next directories of a tree, where directories are opened in the order of a walk: each
 * before what is in it, and the directories of one in the order of its listing or of sorted names. So do
 * `find`, `du`, `cp -r`, `rsync` and `os.walk`, each of which waits for every single listing.
 */
import type { ByteString } from '../base/byte-string.ts';
import type { CoreContext } from './context.ts';
import type { Inode } from './inode.ts';
import type { Listing } from './listing.ts';
import type { Metadata } from './metadata.ts';
import { ranksOf, sortedOrder } from './numberings.ts';

/** Listings asked for ahead and not opened yet. A walk reads some thousand small directories a second. */
const AHEAD_MAX = 64;
/** Of all questions that run at a time, a quarter: those that somebody waits for find a place. */
const UNDER_WAY_MAX = 16;
/** Of the entries that listings may hold, so that nothing is asked for that drives out what comes before it. */
const ENTRIES_SHARE = 1 / 4;
/** A listing that is asked for ahead costs one credit and brings two once it is opened (decision 013). */
const GAIN = 2;
/** Directories opened in a row, one before what is in it, that make a walk. */
const STEPS_OF_A_WALK = 2;
/** So long for the program that walks; its listing is at hand still for whoever comes later. */
const WAIT_MS = 10_000;
/** Several programs share a walk and come so many directories out of order. */
const REORDER = 8;
/** As many are sorted in some 30 ms, while nobody is answered. */
const SORTED_MAX = 20_000;

/** How a walk goes through the directories in one directory, by one listing of it. */
export class Stage {
  readonly #listing: Listing;
  /** Directories opened in order on the way here. */
  #steps: number;
  #isSorted: boolean;
  /** Ranks of the one that was opened last, as listed and as sorted. */
  readonly #fronts: [listed: number, sorted: number] = [-1, -1];
  #listed: Uint32Array | undefined;
  #sorted: { readonly order: Uint32Array; readonly ranks: Uint32Array } | undefined;

  constructor(listing: Listing, above: Stage | undefined) {
    this.#listing = listing;
    this.#steps = above?.steps ?? 0;
    this.#isSorted = above?.isSorted ?? false;
  }

  get steps(): number {
    return this.#steps;
  }

  get isSorted(): boolean {
    return this.#isSorted;
  }

  get isWalked(): boolean {
    return this.#steps >= STEPS_OF_A_WALK;
  }

  /** A directory in it was opened; whether it was the next one of a walk. */
  opened(name: ByteString): boolean {
    const ranks = this.#ranksOf(name);
    if (ranks === undefined) return false;
    const [listed, sorted] = [ranks[0] - this.#fronts[0], ranks[1] - this.#fronts[1]];
    const isNear = Math.abs(this.#isSorted ? sorted : listed) <= REORDER && this.isWalked;
    const isNext = listed === 1 || sorted === 1;
    if (isNext) this.#isSorted = this.#isSorted ? sorted === 1 : listed !== 1;
    if (isNext) this.#steps++;
    else if (!isNear) this.#steps = 0;
    [0, 1].forEach((order) => {
      const front = this.#fronts[order] as number;
      const rank = ranks[order] as number;
      this.#fronts[order] = isNear ? Math.max(front, rank) : rank;
    });
    return isNext || isNear;
  }

  /** Places in the listing of the directories that come after this one; after none: of all. */
  *after(name: ByteString | undefined): Generator<number, void, undefined> {
    const listed = this.#directories();
    const ranks = name === undefined ? undefined : this.#ranksOf(name);
    const from = ranks === undefined ? 0 : ranks[this.#isSorted ? 1 : 0] + 1;
    const order = this.#isSorted ? this.#sort().order : undefined;
    for (let rank = from; rank < listed.length; rank++) {
      yield listed[order === undefined ? rank : (order[rank] as number)] as number;
    }
  }

  #ranksOf(name: ByteString): [listed: number, sorted: number] | undefined {
    const index = this.#listing.indexOf(name);
    const listed = index === undefined ? undefined : rankIn(this.#directories(), index);
    if (listed === undefined) return undefined;
    return [listed, this.#sort().ranks[listed] as number];
  }

  #directories(): Uint32Array {
    // What this mount has made since is known anyway.
    if (!this.#listing.isComplete) return new Uint32Array();
    return (this.#listed ??= this.#listing.directories());
  }

  #sort(): { readonly order: Uint32Array; readonly ranks: Uint32Array } {
    if (this.#sorted !== undefined) return this.#sorted;
    const listed = this.#directories();
    const order =
      listed.length <= SORTED_MAX
        ? sortedOrder(Array.from(listed, (index) => this.#listing.name(index)))
        : Uint32Array.from(listed.keys());
    const sorted = { order, ranks: ranksOf(order) };
    if (this.#listing.isComplete) this.#sorted = sorted;
    return sorted;
  }
}

/** Where a value stands in ascending ones. */
function rankIn(ascending: Uint32Array, value: number): number | undefined {
  let [low, high] = [0, ascending.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((ascending[middle] as number) < value) low = middle + 1;
    else high = middle;
  }
  return ascending[low] === value ? low : undefined;
}

export class WalkAhead {
  readonly #context: CoreContext;
  readonly #metadata: Metadata;
  /** As many as there are listings, which are bounded. */
  readonly #stages = new WeakMap<Listing, Stage>();
  /** Asked for ahead and not opened yet. None of them leaves the table. */
  readonly #ahead = new Map<Inode, Listing>();
  #credit = 0;
  /** What a walk has opened last. It does not leave the table either. */
  #position: Inode | undefined;

  constructor(context: CoreContext, metadata: Metadata) {
    this.#context = context;
    this.#metadata = metadata;
  }

  /** Somebody begins to read the directory. */
  opened(directory: Inode, listing: Listing): void {
    const { readAheadBytes, entryTimeoutMs } = this.#context.options;
    if (readAheadBytes === 0 || entryTimeoutMs === 0) return;
    const isAhead = this.#ahead.get(directory) === listing;
    if (isAhead) {
      this.#context.counters.add('listingsAheadUsed');
      this.#credit = Math.min(this.#credit + GAIN, AHEAD_MAX);
      this.#drop(directory);
    }
    this.#forgetOld();
    const above = this.#stageAbove(directory);
    const isNext = above?.opened(directory.name) ?? false;
    const stage = this.#stageOf(listing, isNext ? above : undefined);
    // For what was here already, nobody waits.
    if (!isNext || !stage.isWalked || !(isAhead || listing.isArriving)) return;
    // A new one, once what it was given before is used or forgotten.
    if (this.#ahead.size === 0) this.#credit = Math.max(this.#credit, 1);
    this.#moveTo(directory);
    this.#advance();
    this.#advanceWith(listing);
  }

  tick(): void {
    this.#forgetOld();
    const listing = this.#position?.listing;
    if (listing === undefined || !this.#isAtHand(listing)) this.#moveTo(undefined);
  }

  /** What nobody came for is let go: its place is for another walk. */
  #forgetOld(): void {
    const oldMs = this.#context.clock.nowMs() - WAIT_MS;
    for (const [directory, listing] of this.#ahead) {
      const isWanted = listing.isArriving || listing.startedMs > oldMs;
      if (directory.listing !== listing || !this.#isAtHand(listing) || !isWanted) {
        this.#drop(directory);
      }
    }
  }

  #moveTo(directory: Inode | undefined): void {
    const before = this.#position;
    this.#position = directory;
    if (directory !== undefined) directory.openHandles++;
    if (before !== undefined) this.#letGo(before);
  }

  /** Asks for what comes next of all that is known, the nearest first. */
  #advance(): void {
    const from = this.#position;
    if (from === undefined || !this.#mayAsk()) return;
    let left = AHEAD_MAX;
    for (const [directory, above] of this.#following(from)) {
      const { listing } = directory;
      const isAtHand = listing !== undefined && this.#isAtHand(listing);
      // One that failed a moment ago is not asked for again.
      if (!isAtHand && !this.#ahead.has(directory)) this.#ask(directory, above);
      this.#metadata.release(directory);
      if (--left === 0 || !this.#mayAsk()) return;
    }
  }

  #mayAsk(): boolean {
    if (this.#credit === 0 || this.#ahead.size >= AHEAD_MAX) return false;
    let underWay = 0;
    let entries = 0;
    for (const listing of this.#ahead.values()) {
      if (listing.isArriving) underWay++;
      entries += listing.count;
    }
    const entriesMax = this.#context.options.listingEntriesMax * ENTRIES_SHARE;
    return underWay < UNDER_WAY_MAX && entries < entriesMax;
  }

  #ask(directory: Inode, above: Stage): void {
    this.#credit--;
    this.#context.counters.add('listingsAhead');
    const listing = this.#metadata.list(directory);
    directory.openHandles++;
    this.#ahead.set(directory, listing);
    this.#stageOf(listing, above);
    this.#advanceWith(listing);
  }

  /** Once it has arrived, what is in it is known, too. */
  #advanceWith(listing: Listing): void {
    if (!listing.isArriving) return;
    listing.whenMore(() => {
      if (listing.isArriving) this.#advanceWith(listing);
      else this.#advance();
    });
  }

  #drop(directory: Inode): void {
    if (this.#ahead.delete(directory)) this.#letGo(directory);
  }

  #letGo(directory: Inode): void {
    directory.openHandles--;
    this.#metadata.release(directory);
  }

  /** The directories that a walk opens after this one, as far as listings tell; each with the stage it is in. */
  *#following(from: Inode): Generator<readonly [Inode, Stage], void, undefined> {
    yield* this.#within(from, undefined);
    for (let at = from; at.parent !== undefined; at = at.parent) {
      if (this.#stageAbove(at)?.isWalked !== true) return;
      yield* this.#within(at.parent, at);
    }
  }

  *#within(
    directory: Inode,
    after: Inode | undefined,
  ): Generator<readonly [Inode, Stage], void, undefined> {
    const { listing } = directory;
    const stage = listing === undefined ? undefined : this.#stages.get(listing);
    if (listing === undefined || stage === undefined || !this.#isAtHand(listing)) return;
    for (const index of stage.after(after?.name)) {
      const status = listing.status(index);
      if (status?.kind !== 'directory') continue;
      const child = this.#metadata.adoptListed(directory, listing.name(index), status, listing);
      // Changed by this mount, or of another kind by newer news.
      if (child.kind !== 'directory') this.#metadata.release(child);
      else {
        yield [child, stage];
        yield* this.#within(child, undefined);
      }
    }
  }

  #isAtHand(listing: Listing): boolean {
    return listing.isArriving || listing.isFresh(this.#context);
  }

  #stageAbove({ parent }: Inode): Stage | undefined {
    const listing = parent?.listing;
    return listing === undefined ? undefined : this.#stages.get(listing);
  }

  #stageOf(listing: Listing, above: Stage | undefined): Stage {
    const stage = this.#stages.get(listing) ?? new Stage(listing, above);
    this.#stages.set(listing, stage);
    return stage;
  }
}
