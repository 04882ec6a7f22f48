/** The copies on disk of a simulation, and the kernel's numbers for those that it reads. */
import assert from 'node:assert/strict';
import type { Random } from '../../src/base/random.ts';
import type { BackingMessage } from '../../src/cache/index.ts';
import type { BackingFiles } from '../../src/vfs/index.ts';
import type { State } from './world.ts';

/** Of copies that are not any more what they were when somebody was told of them, in a hundred. */
const CHANGED_PERCENT = 10;

export class FakeBackings implements BackingFiles {
  readonly isPossible: boolean;
  readonly #random: () => Random;
  readonly #states = new Map<string, State>();
  readonly #open = new Map<number, State>();
  #lastId = 0;

  constructor(isPossible: boolean, random: () => Random) {
    this.isPossible = isPossible;
    this.#random = random;
  }

  /** A copy of this state was made. */
  offer(state: State): BackingMessage {
    const file = `/copy/${state.serial}`;
    this.#states.set(file, state);
    return { file, ino: BigInt(state.serial), ctimeNs: 0n };
  }

  register({ file }: BackingMessage, lengthBytes: number): number | undefined {
    assert.ok(this.isPossible, 'a copy is opened where none can be');
    const state = this.#states.get(file);
    assert.equal(state?.lengthBytes, lengthBytes, 'the copy of another version');
    if (state === undefined || this.#random().below(100) < CHANGED_PERCENT) return undefined;
    this.#open.set(++this.#lastId, state);
    return this.#lastId;
  }

  close({ file }: BackingMessage, id: number): void {
    assert.equal(this.#open.get(id), this.#states.get(file), 'another copy is closed');
    assert.ok(this.#open.delete(id), 'a copy is closed that is not open');
  }

  stateOf(id: number): State {
    const state = this.#open.get(id);
    assert.ok(state !== undefined, `a file is opened with the copy ${id}, which is not open`);
    return state;
  }

  get openCount(): number {
    return this.#open.size;
  }
}
