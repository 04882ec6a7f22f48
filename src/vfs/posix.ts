/** Attributes beside the cluster's own: how changes join them, and what POSIX ties to a change. */
import type { AttributeChange, PosixAttributes } from '../store/index.ts';
import type { Inode } from './inode.ts';
import type { Attributes, DefaultAttributes } from './types.ts';

const S_ISUID = 0o4000;
const S_ISGID = 0o2000;
const S_IXGRP = 0o010;
const PERMISSIONS = 0o7777;

export function mergeAttributes(
  posix: PosixAttributes | undefined,
  change: AttributeChange,
): PosixAttributes {
  const { xattrs: changedXattrs, ...rest } = change;
  if (changedXattrs === undefined) return { ...posix, ...rest };
  const xattrs = new Map(posix?.xattrs);
  for (const [name, value] of changedXattrs) {
    if (value === undefined) xattrs.delete(name);
    else xattrs.set(name, value);
  }
  return { ...posix, ...rest, xattrs };
}

/** The inode as stat(2) shall show it: with what was changed and is not in the cluster yet. */
export function shownAttributes(inode: Inode): Attributes {
  const { staged } = inode;
  if (staged === undefined) return inode;
  const { mtimeMs: _, ...posix } = inode.posix ?? {};
  return {
    ino: inode.ino,
    kind: inode.kind,
    lengthBytes: staged.lengthBytes,
    mtimeMs: staged.mtimeMs,
    mode: inode.mode,
    posix: mergeAttributes(posix, staged.attributes),
    touchedMs: inode.touchedMs,
    isUnlinked: inode.isUnlinked,
  };
}

export function shownMtimeMs(inode: Inode): number {
  const shown = shownAttributes(inode);
  return shown.posix?.mtimeMs ?? shown.mtimeMs;
}

function modeOf(inode: Inode, defaults: DefaultAttributes): number {
  const shown = shownAttributes(inode);
  const configured = inode.kind === 'directory' ? defaults.dirMode : defaults.fileMode;
  return (shown.posix?.mode ?? shown.mode ?? configured) & PERMISSIONS;
}

/** The mode without the bits that a change of owner or content takes away; undefined: as it is. */
export function modeWithoutPrivileges(
  inode: Inode,
  defaults: DefaultAttributes,
): number | undefined {
  if (inode.kind === 'directory') return undefined;
  const mode = modeOf(inode, defaults);
  let left = mode & ~S_ISUID;
  // Without group execution the bit means mandatory locking, not a privilege.
  if ((mode & S_IXGRP) !== 0) left &= ~S_ISGID;
  return left === mode ? undefined : left;
}

/** What a new entry has: only what differs from what the mount shows anyway. */
export function creationAttributes(
  parent: Inode,
  isDirectory: boolean,
  wanted: { readonly mode: number; readonly uid: number; readonly gid: number },
  defaults: DefaultAttributes,
): AttributeChange {
  const inherits = (modeOf(parent, defaults) & S_ISGID) !== 0;
  const gid = inherits ? (shownAttributes(parent).posix?.gid ?? defaults.gid) : wanted.gid;
  let mode = wanted.mode & PERMISSIONS;
  if (inherits && isDirectory) mode |= S_ISGID;
  return {
    ...(mode === (isDirectory ? defaults.dirMode : defaults.fileMode) ? {} : { mode }),
    ...(wanted.uid === defaults.uid ? {} : { uid: wanted.uid }),
    ...(gid === defaults.gid ? {} : { gid }),
  };
}
