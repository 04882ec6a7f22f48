/** Loads the package, and mends where it would write or answer past a program's buffer. */
import type Fuse from 'fuse-native';
import type { FuseOperations, Signal } from 'fuse-native';
import { Errno } from '../wire/index.ts';

export interface NativeFuse {
  mount(done: (error: Error | null) => void): void;
}

export type NativeFuseFactory = (
  mountpoint: string,
  operations: FuseOperations,
  mountOptions: string,
) => NativeFuse;

/** Loading runs native code, so only a mount with this driver does it. */
export async function loadPackage(): Promise<NativeFuseFactory> {
  let Package: typeof Fuse;
  try {
    ({ default: Package } = await import('fuse-native'));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(
      `The fuse-native driver cannot be loaded; install libfuse 2 (Debian: libfuse2): ${reason}`,
      { cause: error },
    );
  }

  class MendedFuse extends Package {
    readonly #mountOptions: string;

    constructor(mountpoint: string, operations: FuseOperations, mountOptions: string) {
      // Whoever serves the mount has deadlines of its own. One that ran out here would answer while
      // the late answer may still write into memory that libfuse has given back.
      super(mountpoint, operations, { timeout: false });
      this.#mountOptions = mountOptions;
    }

    /** The package passes the time of access twice, and none of modification. */
    override _makeHandlerArray(): ReturnType<Fuse['_makeHandlerArray']> {
      const handlers = super['_makeHandlerArray']();
      const inner = handlers[OP_UTIMENS];
      if (inner === undefined) throw new Error('fuse-native has no utimens');
      handlers[OP_UTIMENS] = (locals, operation, path, low, high) => {
        const mtime = mtimeIn(locals, Number(low), Number(high));
        // A change that cannot be done right is refused, by a value that no time has.
        inner(locals, operation, path, low, high, mtime?.low ?? NaN, mtime?.high ?? NaN);
      };
      return handlers;
    }

    /** The package passes on a fixed set of options, and none whose value is zero. */
    override _fuseOptions(): string {
      return `-o${this.#mountOptions}`;
    }

    /** The package answers with the value's length even where that is more than the buffer's. */
    override _op_getxattr(
      signal: Signal,
      path: string,
      name: string,
      value: Buffer,
      position: number,
    ): void {
      this.ops.getxattr(path, name, position, (status, bytes) =>
        signal(fit(status, bytes, value), value.buffer),
      );
    }

    /** As above; besides, it takes a list of text and adds 128 to the length asked for. */
    override _op_listxattr(signal: Signal, path: string, list: Buffer): void {
      this.ops.listxattr(path, (status, bytes) => signal(fit(status, bytes, list), list.buffer));
    }
  }

  return (mountpoint, operations, mountOptions) =>
    new MendedFuse(mountpoint, operations, mountOptions);
}

/** As the package numbers it. */
const OP_UTIMENS = 12;
/**
 * Where the package's record of a call has the two times, in a 64-bit Linux: after 13 fields of 8
 * bytes each, some of them pairs of 4.
 */
const TIMES_OFFSET = 104;
const HALF = 2n ** 32n;

interface Halves {
  readonly low: number;
  readonly high: number;
}

/** Undefined where the record does not look as expected: then nobody knows. */
function mtimeIn(locals: Buffer, atimeLow: number, atimeHigh: number): Halves | undefined {
  const start = locals.byteOffset + TIMES_OFFSET;
  const count = 2;
  const lengthBytes = count * BigUint64Array.BYTES_PER_ELEMENT;
  const isThere = TIMES_OFFSET + lengthBytes <= locals.length;
  if (!isThere || start % BigUint64Array.BYTES_PER_ELEMENT !== 0) return undefined;
  const [atime, mtime] = new BigUint64Array(locals.buffer, start, count);
  if (mtime === undefined || atime !== BigInt(atimeHigh) * HALF + BigInt(atimeLow))
    return undefined;
  return { low: Number(mtime % HALF), high: Number(mtime / HALF) };
}

/** An empty buffer asks for the length only. */
function fit(status: number, bytes: Uint8Array | undefined, into: Buffer): number {
  if (bytes === undefined) return status;
  if (into.length === 0) return bytes.length;
  if (bytes.length > into.length) return -Errno.ERANGE;
  into.set(bytes);
  return bytes.length;
}
