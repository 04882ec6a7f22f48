/** Ways to number the files of a directory so that those that are opened one after the other are neighbours. */
import type { ByteString } from '../base/byte-string.ts';
import type { Listing } from './listing.ts';

export interface Numbering {
  /** Of an entry of the listing; undefined: it has none. */
  numberOf(index: number): number | undefined;
  /** The entry of this number; undefined: there is none, but there may be behind it. */
  indexOf(number: number): number | undefined;
  /** No entry has this number or a greater one. */
  readonly end: number;
}

/** As a program takes them that does not sort. */
export class AsListed implements Numbering {
  readonly #listing: Listing;

  constructor(listing: Listing) {
    this.#listing = listing;
  }

  numberOf(index: number): number {
    return index;
  }

  indexOf(number: number): number {
    return number;
  }

  get end(): number {
    return this.#listing.count;
  }
}

/** Places of the names, in the order of the names. */
export function sortedOrder(names: readonly ByteString[]): Uint32Array {
  const order = Uint32Array.from(names.keys());
  return order.sort((a, b) => ((names[a] as ByteString) < (names[b] as ByteString) ? -1 : 1));
}

/** Where in the order each place comes. */
export function ranksOf(order: Uint32Array): Uint32Array {
  const ranks = new Uint32Array(order.length);
  for (const [rank, at] of order.entries()) ranks[at] = rank;
  return ranks;
}

/** As `sorted(os.listdir())` and `ls` in the C locale have them. Of a complete listing. */
export class Sorted implements Numbering {
  readonly #order: Uint32Array;
  readonly #ranks: Uint32Array;

  constructor(listing: Listing) {
    const names = Array.from({ length: listing.count }, (_, index) => listing.name(index));
    this.#order = sortedOrder(names);
    this.#ranks = ranksOf(this.#order);
  }

  numberOf(index: number): number | undefined {
    return this.#ranks[index];
  }

  indexOf(number: number): number | undefined {
    return this.#order[number];
  }

  get end(): number {
    return this.#order.length;
  }
}

const LAST_NUMBER = /^(?<before>.*?)(?<digits>\d{1,9})(?<after>\D*)$/s;

function partsOf(name: ByteString): { before: string; digits: string; after: string } | undefined {
  const { before, digits, after } = LAST_NUMBER.exec(name)?.groups ?? {};
  if (before === undefined || digits === undefined || after === undefined) return undefined;
  return { before, digits, after };
}

/** By the last number in names that are the same otherwise: as a loop counts that makes them up. */
export class Counted implements Numbering {
  readonly end = Infinity;
  readonly #listing: Listing;
  readonly #before: string;
  readonly #after: string;
  /** Of names with zeros in front; 1: they have none. */
  readonly #digits: number;

  private constructor(listing: Listing, before: string, after: string, digits: number) {
    this.#listing = listing;
    this.#before = before;
    this.#after = after;
    this.#digits = digits;
  }

  /** As this entry is counted; undefined: it is not. */
  static like(listing: Listing, index: number): Counted | undefined {
    const parts = partsOf(listing.name(index));
    if (parts === undefined) return undefined;
    const { before, digits, after } = parts;
    return new Counted(listing, before, after, digits.startsWith('0') ? digits.length : 1);
  }

  numberOf(index: number): number | undefined {
    const parts = partsOf(this.#listing.name(index));
    if (parts?.before !== this.#before || parts.after !== this.#after) return undefined;
    const number = Number(parts.digits);
    return parts.digits === this.#written(number) ? number : undefined;
  }

  indexOf(number: number): number | undefined {
    const name = `${this.#before}${this.#written(number)}${this.#after}`;
    return this.#listing.indexOf(name as ByteString);
  }

  #written(number: number): string {
    return String(number).padStart(this.#digits, '0');
  }
}
