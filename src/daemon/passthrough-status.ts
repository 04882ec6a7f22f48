/** Whether the kernel reads whole cached files by itself, and if not, why. */
import type { Driver, MountConfig } from '../config/index.ts';
import { canPassThrough } from '../fuse/device/index.ts';
import type { Negotiated } from '../fuse/device/index.ts';

/** Why this mount is not one for it, whatever the kernel can; undefined: it is. */
export function passthroughProblem(config: MountConfig, driver: Driver): string | undefined {
  if (config.passthrough === 'off') return 'switched off by --passthrough';
  if (config.cacheDirs.length === 0) return 'there is no --cache-dir';
  if (config.immutable) return 'opens of an --immutable mount are no messages';
  // A program that writes must be seen by those that read through the same mount.
  if (!config.readOnly) return 'the mount is not --read-only';
  if (driver !== 'device') return `--driver ${driver} cannot`;
  return undefined;
}

export interface PassthroughStatus {
  readonly state: 'on' | 'off';
  readonly reason?: string;
}

/** `lost`: what an attempt showed. */
export function passthroughStatus(
  problem: string | undefined,
  negotiated: Negotiated | undefined,
  lost: string | undefined,
): PassthroughStatus {
  const isUnknown = negotiated !== undefined && !canPassThrough(negotiated);
  const reason =
    problem ?? lost ?? (isUnknown ? 'the kernel does not know it (Linux 6.9)' : undefined);
  return reason === undefined ? { state: 'on' } : { state: 'off', reason };
}
