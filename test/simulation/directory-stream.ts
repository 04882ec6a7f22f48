/** What one open directory has told so far, judged against what the directory held meanwhile. */
import assert from 'node:assert/strict';
import { joinPath } from '../../src/base/byte-string.ts';
import type { ByteString } from '../../src/base/byte-string.ts';
import type { Random } from '../../src/base/random.ts';
import type { FileKind } from '../../src/vfs/index.ts';
import { isListable, namesUnder } from './world.ts';
import type { World } from './world.ts';

interface Told {
  readonly name: ByteString;
  readonly at: number;
  readonly next: number;
}

export interface StreamAnswer {
  entry(name: ByteString, kind: FileKind, nextOffset: number): void;
  end(): void;
}

export class DirectoryStream {
  readonly #world: World;
  readonly #path: ByteString;
  /** What is told was true at some time since. */
  sinceMs: number;
  #told: Told[] = [];
  #byName = new Map<ByteString, Told>();
  #hasBegun = false;
  isAtEnd = false;

  constructor(world: World, path: ByteString, sinceMs: number) {
    this.#world = world;
    this.#path = path;
    this.sinceMs = sinceMs;
  }

  get offset(): number {
    return this.#told.at(-1)?.next ?? 0;
  }

  earlierOffset(random: Random): number {
    return this.#told.length === 0 ? 0 : random.pick(this.#told).at;
  }

  /** From the start. The first time, what opendir found may still be what is told. */
  rewind(sinceMs: number): void {
    if (this.#hasBegun) this.sinceMs = sinceMs;
    this.#hasBegun = true;
    this.#told = [];
    this.#byName.clear();
    this.isAtEnd = false;
  }

  answer(from: number): StreamAnswer {
    let at = from;
    let count = 0;
    return {
      entry: (name, kind, nextOffset) => {
        assert.ok(nextOffset > at, 'offsets do not rise');
        this.#take({ name, at, next: nextOffset }, kind);
        at = nextOffset;
        count++;
      },
      end: () => {
        if (count > 0 || from !== this.offset) return;
        this.isAtEnd = true;
        this.#judgeWhole();
      },
    };
  }

  #take(entry: Told, kind: FileKind): void {
    const { name, at } = entry;
    const before = this.#byName.get(name);
    if (before !== undefined) {
      assert.deepEqual(entry, before, `${name} is told a second time`);
      return;
    }
    assert.equal(at, this.offset, `${name} is new where others were told before`);
    this.#told.push(entry);
    this.#byName.set(name, entry);
    if (name === '.' || name === '..') {
      assert.equal(kind, 'directory');
      return;
    }
    const states = this.#world.during(joinPath(this.#path, name), this.sinceMs);
    assert.ok(
      states.some((state) => state.kind === kind),
      `${name} was no ${kind} in ${this.#path} since ${this.sinceMs}`,
    );
  }

  /** At the end: whatever was there all the time was told. */
  #judgeWhole(): void {
    for (const name of namesUnder(this.#path)) {
      if (this.#byName.has(name) || !isListable(name)) continue;
      const states = this.#world.during(joinPath(this.#path, name), this.sinceMs);
      const wasAlways = states.every((state) => state.kind !== undefined);
      assert.ok(!wasAlways, `${name} is missing in ${this.#path}`);
    }
    assert.ok(this.#byName.has('.' as ByteString) && this.#byName.has('..' as ByteString));
  }
}
