/** What two looks at one name say of each other. */
import type { ByteString } from '../base/byte-string.ts';
import type { Content, Inode } from './inode.ts';
import type { Listing } from './listing.ts';
import type { OwnChange } from './own-changes.ts';
import type { StatusMessage, VersionMessage } from './types.ts';

/** Changed here and not saved yet, or without a name: the cluster's word on it does not count. */
export function isOurs(inode: Inode): boolean {
  return inode.staged !== undefined || inode.isLocal || inode.isUnlinked;
}

/**
 * A worker that has heard of our change may be about to remember a listing that it began before. What
 * one that was asked for later than that lacks, another client has removed.
 */
const OWN_NEWS_MS = 60_000;

/** Whether the listing may be from before our change. */
export function isNews({ number, atMs }: OwnChange, listing: Listing, unheardMs: number): boolean {
  return number > listing.ownChanges || listing.startedMs - atMs <= OWN_NEWS_MS + unheardMs;
}

/** Whether a listing shows a name as it was before our change of it. */
export function isOlder(status: StatusMessage, change: OwnChange, listing: Listing): boolean {
  if (change.number > listing.ownChanges) return true;
  // A directory's time changes with its entries: it tells nothing.
  if (change.status === undefined) {
    return status.kind === 'directory' || status.mtimeMs <= change.goneMtimeMs;
  }
  // Nor does a listing that tells none.
  if (status.kind === 'directory' && status.mtimeMs === 0) return false;
  return status.kind === change.status.kind && status.mtimeMs < change.status.mtimeMs;
}

/**
 * Workers keep listings for days: what only a listing has told may be long gone. Bytes that came after it
 * tell more, as do those that somebody has opened.
 */
export function isOnlyListed(
  { parent, openedContent, checkedMs }: Inode,
  content: Content,
): boolean {
  if (parent?.listing?.startedMs !== checkedMs) return false;
  if (content !== openedContent && content.fetchedMs < checkedMs) return true;
  for (const page of content.pages.values()) if (page.state === 'ready') return false;
  return true;
}

export function versionOf({ lengthBytes, mtimeMs, contentHash }: VersionMessage): VersionMessage {
  return { lengthBytes, mtimeMs, contentHash };
}

export function statusOf(inode: Inode): StatusMessage {
  const { kind, lengthBytes, mtimeMs, mode, contentHash, posix } = inode;
  return { kind, lengthBytes, mtimeMs, mode, contentHash, posix };
}

/** Inode numbers are used again, serial numbers are not. */
export function nameKey(parent: Inode, name: ByteString): string {
  return `${parent.serial}/${name}`;
}

/** S3 listings tell no time of directories; 0 stands for it. */
export function lacksTime(known: Inode | undefined, status: StatusMessage): boolean {
  const isTold = status.kind !== 'directory' || status.mtimeMs !== 0;
  return !isTold && (known?.kind !== 'directory' || known.mtimeMs === 0);
}

/**
 * The same directory told less exactly: one port of a worker gives milliseconds, another whole
 * seconds or nothing. Programs that watch for changes (tar) must not see the two in turn.
 */
export function isCoarserTime(known: Inode, status: StatusMessage): boolean {
  if (status.kind !== 'directory') return false;
  return status.mtimeMs === 0 || status.mtimeMs === Math.floor(known.mtimeMs / 1000) * 1000;
}

/** Of a file that nobody has asked for, the version is another one: whoever asks will find out. */
export function doubt(inode: Inode, content: Content): void {
  content.isStale = true;
  if (inode.content !== content) return;
  inode.content = undefined;
  inode.checkedMs = -Infinity;
}

/** Versions and listings below a directory that has moved may be others now. */
export function doubtBelow(
  directory: Inode,
  movedMs: number,
  drop: (directory: Inode) => void,
): void {
  drop(directory);
  directory.listing = undefined;
  directory.outdatedMs = movedMs;
  for (const child of directory.children?.values() ?? []) {
    child.checkedMs = -Infinity;
    if (child.kind === 'directory') doubtBelow(child, movedMs, drop);
  }
}
