/** What is known of one name beside the cluster's own status. */
import type { Mutable } from '../base/mutable.ts';
import type { FileVersion } from '../cluster/index.ts';
import type { AttributeChange, NodeKind, NodeStatus, PosixAttributes } from './types.ts';

export type SpecialKind = Exclude<NodeKind, 'file' | 'directory'>;

export interface AttributeRecord extends PosixAttributes {
  /** Only of what the cluster cannot hold at all. */
  readonly kind?: SpecialKind | undefined;
  /** Of a file: what its times were set for. Another version has its own. */
  readonly timesOf?: { readonly lengthBytes: number; readonly mtimeMs: number } | undefined;
}

/** What a name without a record has; the record need not say it. */
export interface AttributeDefaults {
  readonly fileMode?: number;
  readonly directoryMode?: number;
  readonly uid?: number;
  readonly gid?: number;
}

const TIMES = ['atimeMs', 'mtimeMs', 'ctimeMs'] as const;
const PLAIN = ['mode', 'uid', 'gid', 'deviceNumber', ...TIMES] as const;

export type Subject = Pick<NodeStatus, 'kind' | 'lengthBytes' | 'mtimeMs'>;

function timesHold(record: AttributeRecord, subject: Subject): boolean {
  if (subject.kind !== 'file') return true;
  const { timesOf } = record;
  return timesOf?.lengthBytes === subject.lengthBytes && timesOf.mtimeMs === subject.mtimeMs;
}

/** The record without what holds only for another version of the file. */
function currentPart(record: AttributeRecord, subject: Subject): Mutable<AttributeRecord> {
  const part: Mutable<AttributeRecord> = { ...record };
  if (!timesHold(record, subject)) for (const key of TIMES) delete part[key];
  delete part.timesOf;
  return part;
}

/** A record of a symbolic link (…) says nothing of a real object that another client put there. */
export function isShadowed(record: AttributeRecord, kind: NodeKind): boolean {
  return record.kind !== undefined && record.kind !== kind;
}

/** Of nearly all names. */
const NOTHING: PosixAttributes = {};

export function posixOf(record: AttributeRecord | undefined, subject: Subject): PosixAttributes {
  if (record === undefined || isShadowed(record, subject.kind)) return NOTHING;
  const part = currentPart(record, subject);
  delete part.kind;
  return part;
}

function changedXattrs(
  before: PosixAttributes['xattrs'],
  change: AttributeChange['xattrs'],
): PosixAttributes['xattrs'] {
  if (change === undefined) return before;
  const after = new Map(before);
  for (const [name, value] of change) {
    if (value === undefined) after.delete(name);
    else after.set(name, value);
  }
  return after.size === 0 ? undefined : after;
}

/** Undefined: nothing is left to say. */
function trimmed(
  record: Mutable<AttributeRecord>,
  subject: Subject,
  defaults: AttributeDefaults,
): AttributeRecord | undefined {
  if (subject.kind === 'file' || subject.kind === 'directory') {
    const mode = subject.kind === 'file' ? defaults.fileMode : defaults.directoryMode;
    if (record.mode === mode) delete record.mode;
    if (record.uid === defaults.uid) delete record.uid;
    if (record.gid === defaults.gid) delete record.gid;
  }
  const { xattrs } = record;
  if (xattrs === undefined || xattrs.size === 0) delete record.xattrs;
  for (const key of PLAIN) if (record[key] === undefined) delete record[key];
  if (subject.kind === 'file' && TIMES.some((key) => record[key] !== undefined)) {
    record.timesOf = { lengthBytes: subject.lengthBytes, mtimeMs: subject.mtimeMs };
  }
  return Object.keys(record).length === 0 ? undefined : record;
}

/** The record after a change of what the subject is now. */
export function changedRecord(
  before: AttributeRecord | undefined,
  change: AttributeChange,
  subject: Subject,
  defaults: AttributeDefaults,
): AttributeRecord | undefined {
  const usable = before === undefined || isShadowed(before, subject.kind) ? {} : before;
  const record = currentPart(usable, subject);
  for (const key of PLAIN) if (change[key] !== undefined) record[key] = change[key];
  const xattrs = changedXattrs(record.xattrs, change.xattrs);
  delete record.xattrs;
  if (xattrs !== undefined) record.xattrs = xattrs;
  return trimmed(record, subject, defaults);
}

/** The record of the same content under a new version: an upload that is done. */
export function rebasedRecord(
  before: AttributeRecord | undefined,
  was: Subject,
  is: Subject,
  defaults: AttributeDefaults,
): AttributeRecord | undefined {
  const usable = before === undefined || isShadowed(before, was.kind) ? {} : before;
  return trimmed(currentPart(usable, was), is, defaults);
}

/** The same of a file that was copied: a rename must not touch the time that programs see. */
export function movedRecord(
  before: AttributeRecord | undefined,
  was: Subject,
  is: Subject,
  shownMtimeMs: number,
  defaults: AttributeDefaults,
): AttributeRecord | undefined {
  const record = rebasedRecord(before, was, is, defaults);
  const isShown = was.kind !== 'file' || shownMtimeMs === is.mtimeMs;
  if (isShown || record?.mtimeMs !== undefined) return record;
  return changedRecord(record, { mtimeMs: shownMtimeMs }, is, defaults);
}

export function versionSubject(version: FileVersion): Subject {
  return { kind: 'file', lengthBytes: version.lengthBytes, mtimeMs: version.mtimeMs };
}

/** A symbolic link, fifo, … as it is listed: its record is all there is of it. */
export function specialStatus(name: NodeStatus['name'], record: AttributeRecord): NodeStatus {
  const kind = record.kind ?? 'file';
  const subject: Subject = {
    kind,
    lengthBytes: record.target?.length ?? 0,
    mtimeMs: record.mtimeMs ?? 0,
  };
  return { name, ...subject, posix: posixOf(record, subject) };
}
