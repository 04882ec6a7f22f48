/** What supervisor and daemon, and launcher and supervisor, tell each other over Node's IPC channel. */
import type { Worker } from '../cluster/index.ts';
import type { ConfiguredMount, Driver, MountConfig } from '../config/index.ts';
import type { Negotiated } from '../fuse/device/index.ts';

export interface StartDaemon {
  readonly kind: 'start';
  readonly config: MountConfig;
  readonly driver: Driver;
  /** The open /dev/fuse as inherited; undefined for `fuse-native`, which mounts by itself. */
  readonly fuseFd: number | undefined;
  readonly incarnation: number;
  readonly negotiated: Negotiated | undefined;
  readonly startedAtMs: number;
  /** As an earlier life last knew them: enough to serve while etcd is away; empty for the first. */
  readonly workers: readonly Worker[];
  /** Per worker, as an earlier life learned them from redirects. */
  readonly learnedVirtualNodes: number | undefined;
}

export type ToDaemon = StartDaemon | { readonly kind: 'stop' } | { readonly kind: 'reopen-log' };

export type FromDaemon =
  | { readonly kind: 'negotiated'; readonly negotiated: Negotiated }
  /** The workers of the cluster changed: what the next life begins with. */
  | { readonly kind: 'workers'; readonly workers: readonly Worker[] }
  /** The cluster told its mounts, which the configuration left to it. */
  | { readonly kind: 'mounts'; readonly mounts: readonly ConfiguredMount[] }
  /** What it remembers may be of other files by now: another one is to take its place. */
  | { readonly kind: 'outdated' }
  /** Redirects showed this number per worker: what the next life begins with. */
  | { readonly kind: 'virtual-nodes'; readonly learned: number }
  /** The kernel is being answered; the warnings are for whoever mounts. */
  | { readonly kind: 'serving'; readonly warnings: readonly string[] }
  /** It cannot start, and trying again would not help. */
  | { readonly kind: 'failed'; readonly reason: string }
  /** The mount is gone; the process ends by itself. */
  | { readonly kind: 'unmounted' };

export interface StartSupervisor {
  readonly kind: 'start';
  readonly config: MountConfig;
}

export type FromSupervisor =
  | {
      readonly kind: 'mounted';
      readonly pid: number;
      readonly driver: Driver;
      readonly warnings: readonly string[];
    }
  | { readonly kind: 'failed'; readonly reason: string };
