/** What the kernel thread and the cluster thread tell each other. Plain data. */
import type { MountConfig } from '../config/index.ts';
import type { ByteString } from '../base/byte-string.ts';
import type { Negotiated } from '../fuse/device/index.ts';
import type { FailureReport, InodeId, Job, JobResult } from '../vfs/index.ts';
import type { BackingNews } from './backing-files.ts';
import type { SlabGeometry } from '../cache/index.ts';
import type { PackedFetch, PackedPage } from './packed-messages.ts';
import type { MessagePort } from 'node:worker_threads';

export type ToKernelThread =
  | PackedPage
  | { readonly kind: 'result'; readonly result: JobResult }
  /** A staging file that was handed over is gone. */
  | { readonly kind: 'staging-released'; readonly name: string }
  /** What is in this cache directory is not to be handed to the kernel any more. */
  | { readonly kind: 'cache-retired'; readonly directory: string }
  /** Begin to save all that nobody has saved yet. */
  | { readonly kind: 'save' }
  /** At the end, save nothing any more: somebody has said so. */
  | { readonly kind: 'forsake' }
  /** Answer all that wait and end. */
  | { readonly kind: 'stop' };

export type FromKernelThread =
  | PackedFetch
  | { readonly kind: 'job'; readonly job: Job }
  | { readonly kind: 'negotiated'; readonly negotiated: Negotiated }
  | { readonly kind: 'invalidate-inode'; readonly ino: InodeId }
  | { readonly kind: 'invalidate-entry'; readonly parent: InodeId; readonly name: ByteString }
  | { readonly kind: 'failure'; readonly failure: FailureReport }
  /** For whoever owns the copies that the kernel reads. */
  | { readonly kind: 'backing'; readonly news: readonly BackingNews[] }
  | { readonly kind: 'passthrough-lost'; readonly reason: string }
  /** A mistake of ours: logged once per message, the mount goes on. */
  | { readonly kind: 'internal-error'; readonly message: string; readonly stack: string }
  /** The loop ended. */
  | {
      readonly kind: 'ended';
      readonly reason: 'unmounted' | 'stopped';
      /** Files whose changes neither the cluster nor the journal has: nobody will save them now. */
      readonly unsavedFiles: number;
    };

export interface KernelThreadData {
  readonly fuseFd: number;
  readonly wakeFd: number;
  /** Int32: 1 while a wake-up is on its way, so that a burst of results costs one. */
  readonly wakeFlag: SharedArrayBuffer;
  readonly port: MessagePort;
  readonly slab: SharedArrayBuffer;
  readonly slabGeometry: SlabGeometry;
  readonly counters: SharedArrayBuffer;
  readonly config: MountConfig;
  readonly incarnation: number;
  /** Of an earlier life; undefined: INIT is still to come. */
  readonly negotiated: Negotiated | undefined;
}
