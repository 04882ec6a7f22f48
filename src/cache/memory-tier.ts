/**
 * The memory tier: pages over slab slots, least recently used first out. Plain synchronous state,
 * owned by one thread. Pages being filled and pinned pages are never evicted.
 *
 * INVARIANT: every slot is either free or belongs to exactly one page.
 * INVARIANT: a page is in the LRU list exactly while it is ready.
 */
import { assert } from '../base/assert.ts';
import type { CachedFile, Page, PageState, PageTier, PageTierUsage } from './page-tier.ts';
import type { Slab } from './slab.ts';

class MemoryPage implements Page {
  readonly file: CachedFile;
  readonly index: number;
  readonly lengthBytes: number;
  readonly slots: number[];
  state: PageState = 'filling';
  pins = 0;
  isUnread: boolean;
  newer: MemoryPage | undefined;
  older: MemoryPage | undefined;

  constructor(
    file: CachedFile,
    index: number,
    lengthBytes: number,
    slots: number[],
    isAhead: boolean,
  ) {
    this.file = file;
    this.index = index;
    this.lengthBytes = lengthBytes;
    this.slots = slots;
    this.isUnread = isAhead;
  }
}

export class MemoryTier implements PageTier {
  readonly pageSizeBytes: number;
  readonly #slab: Slab;
  readonly #freeSlots: number[] = [];
  #newest: MemoryPage | undefined;
  #oldest: MemoryPage | undefined;
  #slotsFilling = 0;
  #slotsReady = 0;
  #slotsPinned = 0;
  #evictedPages = 0;
  #wastedBytes = 0;

  constructor(slab: Slab, pageSizeBytes: number) {
    this.#slab = slab;
    this.pageSizeBytes = pageSizeBytes;
    for (let slot = slab.geometry.slotCount - 1; slot >= 0; slot--) this.#freeSlots.push(slot);
  }

  find(file: CachedFile, pageIndex: number): Page | undefined {
    return file.pages.get(pageIndex);
  }

  #slotsFor(lengthBytes: number): number {
    return Math.ceil(lengthBytes / this.#slab.geometry.slotBytes);
  }

  canReserve(lengthsBytes: readonly number[]): boolean {
    let needed = 0;
    for (const lengthBytes of lengthsBytes) needed += this.#slotsFor(lengthBytes);
    return needed <= this.#freeSlots.length + this.#slotsReady - this.#slotsPinned;
  }

  reserve(file: CachedFile, pageIndex: number, isAhead: boolean): Page | undefined {
    assert(!file.pages.has(pageIndex), 'The page is already there');
    const start = pageIndex * this.pageSizeBytes;
    assert(start < file.lengthBytes, 'The page is past the end of its file');
    const lengthBytes = Math.min(this.pageSizeBytes, file.lengthBytes - start);
    if (!this.canReserve([lengthBytes])) return undefined;
    const count = this.#slotsFor(lengthBytes);
    while (this.#freeSlots.length < count) this.#evictOldest();
    // Neighbours in order where they can be had: bytes then come and go in few pieces.
    const slots = this.#freeSlots.splice(this.#freeSlots.length - count, count).toReversed();
    const page = new MemoryPage(file, pageIndex, lengthBytes, slots, isAhead);
    this.#slotsFilling += count;
    file.pages.set(pageIndex, page);
    return page;
  }

  complete(page: Page): void {
    const own = page as MemoryPage;
    assert(own.state !== 'ready', 'The page is complete already');
    this.#slotsFilling -= own.slots.length;
    if (own.state === 'dropped') {
      if (own.isUnread) this.#wastedBytes += own.lengthBytes;
      this.#free(own);
      return;
    }
    own.state = 'ready';
    this.#slotsReady += own.slots.length;
    if (own.pins > 0) this.#slotsPinned += own.slots.length;
    this.#linkNewest(own);
  }

  abandon(page: Page): void {
    const own = page as MemoryPage;
    assert(own.state !== 'ready', 'A ready page cannot be abandoned');
    this.#slotsFilling -= own.slots.length;
    if (own.state === 'filling') own.file.pages.delete(own.index);
    this.#free(own);
  }

  pin(page: Page): void {
    if (page.pins++ === 0 && page.state === 'ready') this.#slotsPinned += page.slots.length;
  }

  unpin(page: Page): void {
    assert(page.pins > 0, 'The page is not pinned');
    if (--page.pins === 0 && page.state === 'ready') this.#slotsPinned -= page.slots.length;
  }

  touch(page: Page): void {
    const own = page as MemoryPage;
    own.isUnread = false;
    if (own === this.#newest) return;
    this.#unlink(own);
    this.#linkNewest(own);
  }

  drop(file: CachedFile): void {
    for (const page of [...file.pages.values()] as MemoryPage[]) {
      if (page.state === 'ready') this.#discard(page);
      else {
        page.state = 'dropped';
        file.pages.delete(page.index);
      }
    }
  }

  segments(page: Page, offsetInPage: number, length: number, out: Uint8Array[]): void {
    const { slotBytes } = this.#slab.geometry;
    let at = offsetInPage;
    const end = offsetInPage + length;
    while (at < end) {
      const slotNumber = Math.floor(at / slotBytes);
      const inSlot = at - slotNumber * slotBytes;
      const take = Math.min(slotBytes - inSlot, end - at);
      const slot = this.#slab.slot(page.slots[slotNumber] as number);
      out.push(take === slotBytes ? slot : slot.subarray(inSlot, inSlot + take));
      at += take;
    }
  }

  usage(): PageTierUsage {
    return {
      slotBytes: this.#slab.geometry.slotBytes,
      slotsTotal: this.#slab.geometry.slotCount,
      slotsFilling: this.#slotsFilling,
      slotsReady: this.#slotsReady,
      evictedPages: this.#evictedPages,
      wastedBytes: this.#wastedBytes,
    };
  }

  /** For tests: walks everything and throws where an invariant is broken. */
  checkInvariants(): void {
    let ready = 0;
    let pinned = 0;
    const seen = new Set<number>(this.#freeSlots);
    assert(seen.size === this.#freeSlots.length, 'A slot is free twice');
    for (let page = this.#oldest; page !== undefined; page = page.newer) {
      assert(page.state === 'ready', 'A page in the LRU list is not ready');
      assert(page.file.pages.get(page.index) === page, 'A ready page is not in its file');
      ready += page.slots.length;
      if (page.pins > 0) pinned += page.slots.length;
      for (const slot of page.slots) {
        assert(!seen.has(slot), 'A slot belongs to two pages');
        seen.add(slot);
      }
    }
    assert(ready === this.#slotsReady, 'The count of ready slots is wrong');
    assert(pinned === this.#slotsPinned, 'The count of pinned slots is wrong');
    const total = this.#freeSlots.length + this.#slotsFilling + this.#slotsReady;
    assert(total === this.#slab.geometry.slotCount, 'Slots were lost');
  }

  #evictOldest(): void {
    let page = this.#oldest;
    while (page !== undefined && page.pins > 0) page = page.newer;
    assert(page !== undefined, 'Nothing can be evicted');
    this.#evictedPages++;
    this.#discard(page);
  }

  /** Takes a ready page out of everything and frees its slots. */
  #discard(page: MemoryPage): void {
    if (page.isUnread) this.#wastedBytes += page.lengthBytes;
    this.#unlink(page);
    this.#slotsReady -= page.slots.length;
    if (page.pins > 0) this.#slotsPinned -= page.slots.length;
    page.file.pages.delete(page.index);
    this.#free(page);
  }

  #free(page: MemoryPage): void {
    page.state = 'dropped';
    for (let slot = page.slots.pop(); slot !== undefined; slot = page.slots.pop()) {
      this.#freeSlots.push(slot);
    }
  }

  #linkNewest(page: MemoryPage): void {
    page.older = this.#newest;
    page.newer = undefined;
    if (this.#newest !== undefined) this.#newest.newer = page;
    this.#newest = page;
    this.#oldest ??= page;
  }

  #unlink(page: MemoryPage): void {
    if (page.newer !== undefined) page.newer.older = page.older;
    else this.#newest = page.older;
    if (page.older !== undefined) page.older.newer = page.newer;
    else this.#oldest = page.newer;
    page.newer = undefined;
    page.older = undefined;
  }
}
