/** What supervisor and daemon, and launcher and supervisor, tell each other over Node's IPC channel. */
import type { Driver, MountConfig } from '../config/index.ts';
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
}

export type ToDaemon = StartDaemon | { readonly kind: 'stop' } | { readonly kind: 'reopen-log' };

export type FromDaemon =
  | { readonly kind: 'negotiated'; readonly negotiated: Negotiated }
  /** The kernel is being answered. */
  | { readonly kind: 'serving' }
  /** It cannot start, and trying again would not help. */
  | { readonly kind: 'failed'; readonly reason: string }
  /** The mount is gone; the process ends by itself. */
  | { readonly kind: 'unmounted' };

export interface StartSupervisor {
  readonly kind: 'start';
  readonly config: MountConfig;
}

export type FromSupervisor =
  | { readonly kind: 'mounted'; readonly pid: number; readonly driver: Driver }
  | { readonly kind: 'failed'; readonly reason: string };
