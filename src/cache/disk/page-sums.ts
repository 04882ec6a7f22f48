/**
 * The checksums of the pages that are held of one file, in blocks that are made with the first page in
 * them: what a file takes follows the pages that are held, not its length.
 */
import type { PageSum } from './records.ts';

/** A page that is alone in its block takes 1 KiB; most files that are cached whole have one block. */
const BLOCK_PAGES = 256;
const WORD_BITS = 32;

/** First a bit for each page, whether it is held; then their sums. */
type Block = Uint32Array;

const mapWords = (pages: number): number => Math.ceil(pages / WORD_BITS);

export class PageSums {
  readonly #pages: number;
  #first: Block | undefined;
  /** By number; a file of one block does not have it. */
  #others: Map<number, Block> | undefined;

  constructor(pages: number) {
    this.#pages = pages;
  }

  /** Undefined: the page is not held. */
  sumOf(index: number): number | undefined {
    const number = Math.floor(index / BLOCK_PAGES);
    const block = number === 0 ? this.#first : this.#others?.get(number);
    return block === undefined ? undefined : this.#sumIn(block, number, index % BLOCK_PAGES);
  }

  set(index: number, sum: number): void {
    const number = Math.floor(index / BLOCK_PAGES);
    const block = this.#block(number);
    const at = index % BLOCK_PAGES;
    const word = Math.floor(at / WORD_BITS);
    block[word] = (block[word] as number) | (1 << (at % WORD_BITS));
    block[mapWords(this.#pagesIn(number)) + at] = sum;
  }

  /** Those that are held, in order. */
  all(): PageSum[] {
    const found: PageSum[] = [];
    const others = [...(this.#others ?? [])].sort(([one], [other]) => one - other);
    const blocks: [number, Block][] = this.#first === undefined ? [] : [[0, this.#first]];
    for (const [number, block] of [...blocks, ...others]) {
      for (let at = 0; at < this.#pagesIn(number); at++) {
        const sum = this.#sumIn(block, number, at);
        if (sum !== undefined) found.push({ index: number * BLOCK_PAGES + at, sum });
      }
    }
    return found;
  }

  #sumIn(block: Block, number: number, at: number): number | undefined {
    const word = block[Math.floor(at / WORD_BITS)] as number;
    if ((word & (1 << (at % WORD_BITS))) === 0) return undefined;
    return block[mapWords(this.#pagesIn(number)) + at];
  }

  #block(number: number): Block {
    const found = number === 0 ? this.#first : this.#others?.get(number);
    if (found !== undefined) return found;
    const pages = this.#pagesIn(number);
    const block = new Uint32Array(mapWords(pages) + pages);
    if (number === 0) this.#first = block;
    else (this.#others ??= new Map()).set(number, block);
    return block;
  }

  #pagesIn(number: number): number {
    return Math.min(BLOCK_PAGES, this.#pages - number * BLOCK_PAGES);
  }
}
