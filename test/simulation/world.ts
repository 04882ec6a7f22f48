/**
 * The plain model: what the cluster holds, and what it held when. A path's history is a list of
 * states with the time each was true; content is derived from path, version and offset, so that a
 * page of another file, version or place shows as a wrong byte.
 */
import { joinPath } from '../../src/base/byte-string.ts';
import type { ByteString } from '../../src/base/byte-string.ts';
import type { Random } from '../../src/base/random.ts';
import type { Clock } from '../../src/base/clock.ts';
import type { FileKind, StatusMessage, VersionMessage } from '../../src/vfs/index.ts';

export interface State {
  /** Undefined: the path does not exist. */
  readonly kind: FileKind | undefined;
  readonly lengthBytes: number;
  readonly mtimeMs: number;
  readonly contentHash: string | undefined;
  /** Distinct for every state there ever was. */
  readonly serial: number;
  readonly fromMs: number;
  /** Infinity while it is still true. */
  toMs: number;
}

export const ROOT = '/' as ByteString;
/** Few names, so that they collide. One is never listed, one is not UTF-8. */
const NAMES = ['a', 'b', 'c', 'd\xff', 'q?'] as ByteString[];
export const BIG = '/big' as ByteString;
const BIG_NAMES = Array.from({ length: 40 }, (_, index) => `n${index}` as ByteString);
const ROOT_NAMES = [...NAMES, 'big' as ByteString];
const DEPTH_MAX = 3;
const FILE_BYTES_MAX = 3000;

export function isListable(name: ByteString): boolean {
  return !name.includes('?');
}

export function parentOf(path: ByteString): ByteString {
  const slash = path.lastIndexOf('/');
  return (slash === 0 ? '/' : path.slice(0, slash)) as ByteString;
}

export function namesUnder(directory: ByteString): readonly ByteString[] {
  if (directory === BIG) return BIG_NAMES;
  return directory === ROOT ? ROOT_NAMES : NAMES;
}

export class World {
  readonly #clock: Clock;
  readonly #hasHashes: boolean;
  readonly #histories = new Map<ByteString, State[]>();
  readonly #contents = new Map<number, Buffer>();
  readonly #present = new Map<ByteString, State>();
  #serial = 0;

  constructor(clock: Clock, random: Random) {
    this.#clock = clock;
    this.#hasHashes = random.chance(0.5);
    this.#set(BIG, 'directory', random);
    for (const name of BIG_NAMES) {
      if (random.chance(0.8)) this.#set(joinPath(BIG, name), 'file', random);
    }
    for (let count = 0; count < 60; count++) this.#create(random);
  }

  now(path: ByteString): State | undefined {
    return this.#present.get(path);
  }

  isDirectory(path: ByteString): boolean {
    return path === ROOT || this.now(path)?.kind === 'directory';
  }

  /** Each before what is in it. */
  directories(): ByteString[] {
    const below = [...this.#present].filter(([, { kind }]) => kind === 'directory');
    return [ROOT, ...below.map(([path]) => path).sort()];
  }

  files(): ByteString[] {
    return [...this.#present].filter(([, { kind }]) => kind === 'file').map(([path]) => path);
  }

  /** The names in a directory now, those too that a listing keeps to itself. */
  children(directory: ByteString): ByteString[] {
    return namesUnder(directory).filter((name) => this.#present.has(joinPath(directory, name)));
  }

  /** Every state that was true at some time from `fromMs` on, the latest first. */
  during(path: ByteString, fromMs: number): State[] {
    const history = this.#histories.get(path);
    const before: State = { ...ABSENT, toMs: history?.[0]?.fromMs ?? Infinity };
    const found: State[] = [];
    for (let index = (history?.length ?? 0) - 1; index >= 0; index--) {
      const state = history?.[index] as State;
      if (state.toMs < fromMs) return found;
      found.push(state);
    }
    if (before.toMs >= fromMs) found.push(before);
    return found;
  }

  /** When the path or one above it last became something else. */
  lastChangeMs(path: ByteString): number {
    let lastMs = -Infinity;
    for (let at = path; at !== ROOT; at = parentOf(at)) {
      lastMs = Math.max(lastMs, this.#histories.get(at)?.at(-1)?.fromMs ?? -Infinity);
    }
    return lastMs;
  }

  /**
   * One change; returns what it was, for the log of events. `missed`: paths that somebody has just
   * found absent, and which are likely to be there next.
   */
  change(random: Random, missed: readonly ByteString[]): string {
    if (missed.length > 0 && random.chance(0.3)) return this.#appear(random, random.pick(missed));
    const paths = [...this.#present.keys()];
    const kind = random.below(10);
    if (kind < 4 || paths.length < 20) return this.#create(random);
    const path = random.pick(paths);
    const state = this.now(path) as State;
    if (path === BIG) return 'nothing';
    if (kind < 8 && state.kind === 'file') {
      // A version may differ from the last in its hash alone.
      const isHashOnly = this.#hasHashes && random.chance(0.3);
      this.#set(path, 'file', random, isHashOnly ? state : undefined);
      return `change ${path}`;
    }
    if (kind < 9) {
      this.#remove(path);
      return `remove ${path}`;
    }
    const other = state.kind === 'file' ? 'directory' : 'file';
    this.#remove(path);
    this.#set(path, other, random);
    return `${path} becomes a ${other}`;
  }

  #create(random: Random): string {
    const directories = [ROOT, ...this.#present.keys()].filter(
      (path) => this.isDirectory(path) && path.split('/').length <= DEPTH_MAX,
    );
    const directory = random.pick(directories);
    const path = joinPath(directory, random.pick(namesUnder(directory)));
    if (this.#present.has(path)) return 'nothing';
    const isFile = directory === BIG || random.chance(0.6);
    this.#set(path, isFile ? 'file' : 'directory', random);
    return `create ${path}`;
  }

  #appear(random: Random, path: ByteString): string {
    if (this.#present.has(path) || !this.isDirectory(parentOf(path))) return 'nothing';
    this.#set(path, 'file', random);
    return `create the missed ${path}`;
  }

  #set(path: ByteString, kind: FileKind, random: Random, like?: State): void {
    this.#end(path);
    const serial = ++this.#serial;
    const lengths = [0, 1, 255, 256, 257, random.below(300), random.below(FILE_BYTES_MAX)];
    const state: State = {
      kind,
      lengthBytes: kind === 'directory' ? 0 : (like?.lengthBytes ?? random.pick(lengths)),
      mtimeMs: like?.mtimeMs ?? 1_000_000 + serial,
      contentHash: this.#hasHashes && kind === 'file' ? `h${serial}` : undefined,
      serial,
      fromMs: this.#clock.nowMs(),
      toMs: Infinity,
    };
    this.#record(path, state);
    this.#present.set(path, state);
  }

  #remove(path: ByteString): void {
    for (const other of this.#present.keys()) {
      if (other !== path && !other.startsWith(`${path}/`)) continue;
      this.#end(other);
      const fromMs = this.#clock.nowMs();
      this.#record(other, { ...ABSENT, serial: ++this.#serial, fromMs });
      this.#present.delete(other);
    }
  }

  #end(path: ByteString): void {
    const last = this.#histories.get(path)?.at(-1);
    if (last !== undefined) last.toMs = this.#clock.nowMs();
  }

  #record(path: ByteString, state: State): void {
    const history = this.#histories.get(path);
    if (history === undefined) this.#histories.set(path, [state]);
    else history.push(state);
  }

  content(state: State): Buffer {
    let content = this.#contents.get(state.serial);
    if (content === undefined) {
      content = Buffer.alloc(state.lengthBytes);
      for (let offset = 0; offset < content.length; offset++) {
        const mixed = Math.imul(state.serial * 7919 + offset, 0x9e3779b1);
        content[offset] = mixed >>> 24;
      }
      this.#contents.set(state.serial, content);
    }
    return content;
  }
}

const ABSENT: State = {
  kind: undefined,
  lengthBytes: 0,
  mtimeMs: 0,
  contentHash: undefined,
  serial: 0,
  fromMs: -Infinity,
  toMs: Infinity,
};

export function statusOf(state: State): StatusMessage {
  const { lengthBytes, mtimeMs, contentHash } = state;
  return { kind: state.kind as FileKind, lengthBytes, mtimeMs, mode: undefined, contentHash };
}

export function isVersion(state: State, version: VersionMessage): boolean {
  return (
    state.kind === 'file' &&
    state.lengthBytes === version.lengthBytes &&
    state.mtimeMs === version.mtimeMs &&
    state.contentHash === version.contentHash
  );
}
