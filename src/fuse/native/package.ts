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

/** An empty buffer asks for the length only. */
function fit(status: number, bytes: Uint8Array | undefined, into: Buffer): number {
  if (bytes === undefined) return status;
  if (into.length === 0) return bytes.length;
  if (bytes.length > into.length) return -Errno.ERANGE;
  into.set(bytes);
  return bytes.length;
}
