/** What the kernel of a simulation has asked, and what it knows and holds. */
import type { ByteString } from '../../src/base/byte-string.ts';
import type {
  FileKind,
  FsErrorCode,
  HandleId,
  InodeId,
  RequestId,
  VersionMessage,
} from '../../src/vfs/index.ts';
import type { DirectoryStream } from './directory-stream.ts';
import type { Delivery } from './fake-cluster.ts';
import type { State } from './world.ts';

export interface Known {
  readonly ino: InodeId;
  readonly path: ByteString;
  /** Where it was found; undefined where it was only passed through. */
  readonly parentIno: InodeId | undefined;
  readonly kind: FileKind;
  readonly bornMs: number;
  /** Nothing older than this can have been known of it when the kernel learned of it. */
  readonly sinceMs: number;
  /** When the last attributes were asked for: news may not be older than what came before. */
  askedMs: number;
  /** The version that a read last found gone, and when. */
  gone: { readonly version: VersionMessage; readonly atMs: number } | undefined;
  lookups: number;
  /** Open handles and unanswered requests: the kernel does not forget what it uses. */
  uses: number;
  /** The versions that the last open may have been of. */
  cached: Set<State> | undefined;
}

export interface FileHandle {
  readonly kind: 'file';
  readonly id: HandleId;
  readonly known: Known;
  readonly sinceMs: number;
  /** The versions that this may be a handle of; every read leaves those that it fits. */
  readonly versions: Set<State>;
  /** The kernel reads this copy by itself. */
  readonly backingId: number | undefined;
  position: number;
  requests: number;
}

export interface DirectoryHandle {
  readonly kind: 'directory';
  readonly id: HandleId;
  readonly known: Known;
  readonly stream: DirectoryStream;
  requests: number;
}

export type Handle = FileHandle | DirectoryHandle;

export type Call =
  | { readonly kind: 'lookup'; readonly parent: Known; readonly name: ByteString }
  | { readonly kind: 'getattr'; readonly known: Known }
  | { readonly kind: 'open'; readonly known: Known; readonly wantsWrite: boolean }
  | { readonly kind: 'opendir'; readonly known: Known }
  | {
      readonly kind: 'read';
      readonly handle: FileHandle;
      readonly at: number;
      readonly size: number;
    }
  | { readonly kind: 'readdir'; readonly handle: DirectoryHandle; readonly at: number }
  | {
      readonly kind: 'lseek';
      readonly handle: FileHandle;
      readonly at: number;
      readonly isData: boolean;
    }
  | { readonly kind: 'xattr'; readonly known: Known; readonly name: string; readonly size: number }
  /** The error that must come, whatever the world is. */
  | { readonly kind: 'wrong'; readonly code: FsErrorCode | 'ok' };

export interface Request {
  readonly id: RequestId;
  readonly sentMs: number;
  readonly call: Call;
  readonly known: Known | undefined;
  /** When the oldest of the answers that came for it meanwhile was asked for. */
  newsMs: number;
}

/** What the core is busy with when it answers. */
export type Cause =
  | { readonly kind: 'request' | 'tick' | 'shutdown' }
  | { readonly kind: 'delivery'; readonly delivery: Delivery }
  | { readonly kind: 'interrupt'; readonly target: RequestId };

export function describe(call: Call, id: RequestId): string {
  const path = 'known' in call ? call.known.path : 'handle' in call ? call.handle.known.path : '';
  const where = 'at' in call ? `at ${call.at}` : '';
  if (call.kind === 'lookup') return `lookup ${id} ${call.parent.path} ${call.name}`;
  return `${call.kind} ${id} ${path} ${where}`;
}

export function keepOnly(states: Set<State>, isKept: (state: State) => boolean): void {
  for (const state of states) if (!isKept(state)) states.delete(state);
}
