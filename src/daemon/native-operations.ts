/** What libfuse asks, as questions to the core: paths are walked, handles numbered, figures kept. */
import { byteStringOfBytes } from '../base/byte-string.ts';
import type { ByteString } from '../base/byte-string.ts';
import type { Clock } from '../base/clock.ts';
import type { MountConfig } from '../config/index.ts';
import type { NativeChange, NativeEntry, NativeHandler } from '../fuse/native/index.ts';
import type { FileAttr, StatfsReply } from '../fuse/wire/index.ts';
import type { Core, Counters, HandleId, InodeId, OperationName, RequestId } from '../vfs/index.ts';
import { openModeOf } from './kernel-writes.ts';
import type { NativePaths, PathNode } from './native-paths.ts';
import { RequestFailed } from './native-replies.ts';
import type { NativeReplies } from './native-replies.ts';
import { fileAttrOf, fileTypeBits, kindOfMode, STATFS } from './presentation.ts';

const W_OK = 2;
const PERMISSIONS = 0o7777;
const SYMLINK_MODE = 0o777;
/** The package does not tell the flags of a file that is made and opened at once. */
const WRITABLE = { wantsWrite: true, truncates: false, clearsPrivileges: false };
/** The package carries handles as 32-bit signed integers, and takes 0 for none. */
const HANDLE_MAX = 2 ** 31 - 1;
/** From a directory entry's type to the bits of a mode. */
const TYPE_SHIFT = 12;
/** Asks for an extended attribute without a bound: the driver fits it to the program's buffer. */
const NO_BOUND = 0;

export interface NativeOperationsParts {
  readonly config: MountConfig;
  readonly core: Core;
  readonly replies: NativeReplies;
  readonly paths: NativePaths;
  readonly counters: Counters;
  readonly clock: Clock;
}

export class NativeOperations implements NativeHandler {
  readonly #parts: NativeOperationsParts;
  /** Bounded by the core's own table of handles. */
  readonly #handles = new Map<number, HandleId>();
  #lastHandle = 0;

  constructor(parts: NativeOperationsParts) {
    this.#parts = parts;
  }

  async getattr(path: ByteString): Promise<FileAttr> {
    const { core, replies, config } = this.#parts;
    return await this.#onPath('Getattr', path, async ({ ino, attributes }) => {
      // The walk asked for the name just now, and was told the attributes with it.
      if (attributes !== undefined) return fileAttrOf(attributes, config);
      const answer = await replies.ask('attributes', (id) => core.getattr(id, ino));
      return fileAttrOf(answer.attributes, config);
    });
  }

  async readdir(path: ByteString): Promise<readonly NativeEntry[]> {
    return await this.#onPath('Readdir', path, async ({ ino }) => await this.#list(ino));
  }

  async #list(ino: InodeId): Promise<readonly NativeEntry[]> {
    const { core, replies } = this.#parts;
    const { handle } = await replies.ask('opened', (id) => core.opendir(id, ino));
    try {
      const listed: NativeEntry[] = [];
      let offset = 0;
      for (;;) {
        const range = { offset, sizeBytes: 0, isPlus: false };
        const { entries } = await replies.ask('entries', (id) => core.readdir(id, handle, range));
        if (entries.length === 0) return listed;
        for (const { name, kind, nextOffset } of entries) {
          listed.push({ name, mode: fileTypeBits(kind) << TYPE_SHIFT });
          offset = nextOffset;
        }
      }
    } finally {
      await replies.ask('ok', (id) => core.release(id, handle));
    }
  }

  async open(path: ByteString, flags: number): Promise<number> {
    const { core, replies } = this.#parts;
    const mode = openModeOf(flags);
    return await this.#onPath('Open', path, async ({ ino }) => {
      const { handle } = await replies.ask('opened', (id) => core.open(id, ino, mode));
      return this.#numberOf(handle);
    });
  }

  #numberOf(handle: HandleId): number {
    do {
      this.#lastHandle = (this.#lastHandle % HANDLE_MAX) + 1;
    } while (this.#handles.has(this.#lastHandle));
    this.#handles.set(this.#lastHandle, handle);
    return this.#lastHandle;
  }

  async create(path: ByteString, mode: number): Promise<number> {
    const { core, replies, paths } = this.#parts;
    return await this.#onName('Create', path, async (directory, name) => {
      const how = { ...this.#creation(mode), ...WRITABLE, isExclusive: false };
      const answer = await replies.ask('created', (id) => core.create(id, directory, name, how));
      paths.giveBack(answer.attributes.ino);
      return this.#numberOf(answer.handle);
    });
  }

  /** libfuse knows who asks, the package does not pass it on. */
  #creation(mode: number) {
    const { uid, gid } = this.#parts.config;
    return { mode: mode & PERMISSIONS, uid, gid };
  }

  async write(number: number, data: Uint8Array, offset: number): Promise<void> {
    const { core, replies } = this.#parts;
    await this.#timed('Write', async () => {
      const handle = this.#handle(number);
      await replies.ask('ok', (id) => core.write(id, handle, offset, data, false));
    });
  }

  async flush(number: number): Promise<void> {
    const { core, replies } = this.#parts;
    await this.#timed('Flush', async () => {
      const handle = this.#handle(number);
      await replies.ask('ok', (id) => core.flush(id, handle));
    });
  }

  async fsync(number: number): Promise<void> {
    const { core, replies } = this.#parts;
    await this.#timed('Fsync', async () => {
      const handle = this.#handle(number);
      await replies.ask('ok', (id) => core.sync(id, handle));
    });
  }

  async fsyncdir(path: ByteString): Promise<void> {
    const { core, replies } = this.#parts;
    await this.#onPath('Fsyncdir', path, async ({ ino }) => {
      const { handle } = await replies.ask('opened', (id) => core.opendir(id, ino));
      try {
        await replies.ask('ok', (id) => core.syncDirectory(id, handle));
      } finally {
        await replies.ask('ok', (id) => core.release(id, handle));
      }
    });
  }

  async change(path: ByteString, number: number | undefined, change: NativeChange): Promise<void> {
    const { core, replies } = this.#parts;
    const { lengthBytes, mode, uid, gid, atimeMs, mtimeMs } = change;
    const wanted = { lengthBytes, mode, uid, gid, atimeMs, mtimeMs, clearsPrivileges: false };
    await this.#onPath('Setattr', path, async ({ ino }) => {
      const handle = number === undefined ? undefined : this.#handle(number);
      await replies.ask('attributes', (id) => core.setattr(id, ino, handle, wanted));
    });
  }

  async mknod(path: ByteString, mode: number, device: number): Promise<void> {
    const { core } = this.#parts;
    const kind = kindOfMode(mode);
    if (kind === undefined || kind === 'directory') throw new RequestFailed('not-permitted');
    const isDevice = kind === 'character-device' || kind === 'block-device';
    const creation = {
      ...this.#creation(mode),
      ...(isDevice ? { deviceNumber: device } : {}),
    };
    await this.#make('Mknod', path, (id, directory, name) => {
      if (kind === 'file') core.makeFile(id, directory, name, creation);
      else core.makeNode(id, directory, name, kind, creation);
    });
  }

  async mkdir(path: ByteString, mode: number): Promise<void> {
    const { core } = this.#parts;
    await this.#make('Mkdir', path, (id, directory, name) =>
      core.mkdir(id, directory, name, this.#creation(mode)),
    );
  }

  async symlink(path: ByteString, target: ByteString): Promise<void> {
    const { core } = this.#parts;
    const creation = { ...this.#creation(SYMLINK_MODE), target };
    await this.#make('Symlink', path, (id, directory, name) =>
      core.makeNode(id, directory, name, 'symlink', creation),
    );
  }

  async #make(
    operation: OperationName,
    path: ByteString,
    make: (id: RequestId, directory: InodeId, name: ByteString) => void,
  ): Promise<void> {
    const { replies, paths } = this.#parts;
    await this.#onName(operation, path, async (directory, name) => {
      const { attributes } = await replies.ask('entry', (id) => make(id, directory, name));
      paths.giveBack(attributes.ino);
    });
  }

  async unlink(path: ByteString): Promise<void> {
    const { core, replies } = this.#parts;
    await this.#onName('Unlink', path, async (directory, name) => {
      await replies.ask('ok', (id) => core.unlink(id, directory, name));
    });
  }

  async rmdir(path: ByteString): Promise<void> {
    const { core, replies } = this.#parts;
    await this.#onName('Rmdir', path, async (directory, name) => {
      await replies.ask('ok', (id) => core.rmdir(id, directory, name));
    });
  }

  async rename(from: ByteString, to: ByteString): Promise<void> {
    const { core, replies, paths } = this.#parts;
    await this.#onName('Rename', from, async (parent, name) => {
      await paths.within(to, async (newParent, newName) => {
        const [source, target] = [
          { parent, name },
          { parent: newParent, name: newName },
        ];
        await replies.ask('ok', (id) => core.rename(id, source, target, false));
      });
    });
  }

  async setxattr(
    path: ByteString,
    name: ByteString,
    value: Uint8Array | undefined,
    must: 'create' | 'replace' | 'either',
  ): Promise<void> {
    const { core, replies } = this.#parts;
    const operation = value === undefined ? 'Removexattr' : 'Setxattr';
    await this.#onPath(operation, path, async ({ ino }) => {
      await replies.ask('ok', (id) => core.setxattr(id, ino, name, value, must));
    });
  }

  async readlink(path: ByteString): Promise<ByteString> {
    const { core, replies } = this.#parts;
    return await this.#onPath('Readlink', path, async ({ ino }) => {
      const { value } = await replies.ask('value', (id) => core.readlink(id, ino));
      return byteStringOfBytes(value);
    });
  }

  async read(number: number, into: Uint8Array, offset: number): Promise<number> {
    const { core, replies } = this.#parts;
    return await this.#timed('Read', async () => {
      const handle = this.#handle(number);
      const read = (id: Parameters<Core['read']>[0]): void =>
        core.read(id, handle, offset, into.length);
      return (await replies.ask('data', read, into)).lengthBytes;
    });
  }

  async release(number: number): Promise<void> {
    const { core, replies } = this.#parts;
    await this.#timed('Release', async () => {
      const handle = this.#handle(number);
      this.#handles.delete(number);
      await replies.ask('ok', (id) => core.release(id, handle));
    });
  }

  async statfs(): Promise<StatfsReply> {
    return await this.#timed('Statfs', () => Promise.resolve(STATFS));
  }

  async access(path: ByteString, mask: number): Promise<void> {
    const { core, replies } = this.#parts;
    await this.#onPath('Access', path, async ({ ino }) => {
      await replies.ask('ok', (id) => core.access(id, ino, (mask & W_OK) !== 0));
    });
  }

  async getxattr(path: ByteString, name: ByteString): Promise<Uint8Array> {
    const { core, replies } = this.#parts;
    return await this.#onPath('Getxattr', path, async ({ ino }) => {
      const ask = (id: Parameters<Core['getxattr']>[0]): void =>
        core.getxattr(id, ino, name, NO_BOUND);
      return (await replies.ask('value', ask)).value;
    });
  }

  async listxattr(path: ByteString): Promise<Uint8Array> {
    const { core, replies } = this.#parts;
    return await this.#onPath('Listxattr', path, async ({ ino }) => {
      return (await replies.ask('value', (id) => core.listxattr(id, ino, NO_BOUND))).value;
    });
  }

  #handle(number: number): HandleId {
    const handle = this.#handles.get(number);
    if (handle === undefined) throw new RequestFailed('bad-handle');
    return handle;
  }

  /** As `#onPath`, for what happens to a name in its directory. */
  async #onName<Result>(
    operation: OperationName,
    path: ByteString,
    use: (directory: InodeId, name: ByteString) => Promise<Result>,
  ): Promise<Result> {
    const { paths } = this.#parts;
    return await this.#timed(
      operation,
      async () => await this.#again(() => paths.within(path, use)),
    );
  }

  /** A name may have become another file since it was cached: then the path is walked anew, once. */
  async #onPath<Result>(
    operation: OperationName,
    path: ByteString,
    use: (node: PathNode) => Promise<Result>,
  ): Promise<Result> {
    const { paths } = this.#parts;
    return await this.#timed(operation, async () => await this.#again(() => paths.with(path, use)));
  }

  async #again<Result>(ask: () => Promise<Result>): Promise<Result> {
    try {
      return await ask();
    } catch (error) {
      if (!(error instanceof RequestFailed) || error.code !== 'stale') throw error;
      this.#parts.paths.clear();
      return await ask();
    }
  }

  async #timed<Result>(operation: OperationName, work: () => Promise<Result>): Promise<Result> {
    const { clock, counters } = this.#parts;
    const startedMs = clock.nowMs();
    let isError = true;
    try {
      const result = await work();
      isError = false;
      return result;
    } finally {
      counters.observe(operation, clock.nowMs() - startedMs, isError);
    }
  }
}
