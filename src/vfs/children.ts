/**
 * The inodes of a directory by name: an open hash of nothing but the inodes, which know their names
 * themselves. Some 16 bytes a name, where a Map takes up to 50.
 *
 * INVARIANT: an inode lies at the place that its name hashes to or after it, with no gap between. At
 * most three quarters of the places are taken.
 */
import type { ByteString } from '../base/byte-string.ts';
import { hashOfName } from './name-hash.ts';

const FIRST_PLACES = 4;

export class Children<Child extends { readonly name: ByteString }> {
  #places: (Child | undefined)[] = emptyPlaces(FIRST_PLACES);
  #count = 0;

  get size(): number {
    return this.#count;
  }

  get(name: ByteString): Child | undefined {
    return this.#places[this.#placeOf(name)];
  }

  /** By its name; whoever had that name goes. */
  set(child: Child): void {
    let place = this.#placeOf(child.name);
    if (this.#places[place] === undefined) {
      if (4 * (this.#count + 1) > 3 * this.#places.length) {
        this.#resize(2 * this.#places.length);
        place = this.#placeOf(child.name);
      }
      this.#count++;
    }
    this.#places[place] = child;
  }

  delete(name: ByteString): void {
    const place = this.#placeOf(name);
    if (this.#places[place] === undefined) return;
    this.#places[place] = undefined;
    this.#count--;
    this.#closeGap(place);
    if (8 * this.#count < this.#places.length && this.#places.length > FIRST_PLACES) {
      this.#resize(this.#places.length / 2);
    }
  }

  /** A copy: the directory may change while somebody walks it. */
  values(): Child[] {
    return this.#places.filter((child) => child !== undefined);
  }

  /** Those behind a gap that would not be found any more move up. */
  #closeGap(gap: number): void {
    const mask = this.#places.length - 1;
    for (let place = (gap + 1) & mask; ; place = (place + 1) & mask) {
      const child = this.#places[place];
      if (child === undefined) return;
      const home = hashOfName(child.name) & mask;
      // Cyclic: whether its home lies at or before the gap.
      if (((place - home) & mask) < ((place - gap) & mask)) continue;
      this.#places[gap] = child;
      this.#places[place] = undefined;
      gap = place;
    }
  }

  #resize(places: number): void {
    const children = this.values();
    this.#places = emptyPlaces(places);
    for (const child of children) this.#places[this.#placeOf(child.name)] = child;
  }

  /** Where the name is, or the free place where it belongs. */
  #placeOf(name: ByteString): number {
    const mask = this.#places.length - 1;
    let place = hashOfName(name) & mask;
    for (;;) {
      const child = this.#places[place];
      if (child === undefined || child.name === name) return place;
      place = (place + 1) & mask;
    }
  }
}

function emptyPlaces<Child>(places: number): (Child | undefined)[] {
  return Array<Child | undefined>(places).fill(undefined);
}
