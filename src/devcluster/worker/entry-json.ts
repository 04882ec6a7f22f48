/** An entry as `/v1/info` and `/v1/files` print it. */
import type { DevPersonality } from '../messages.ts';
import { gsonText, humanSize } from './java-text.ts';
import type { Entry } from './metadata.ts';

export function entriesJson(entries: readonly Entry[], personality: DevPersonality): Buffer {
  return Buffer.from(gsonText(entries.map((entry) => jsonOf(entry, personality))), 'utf8');
}

function jsonOf(entry: Entry, personality: DevPersonality): Record<string, unknown> {
  const common = {
    mType: entry.type,
    mName: entry.name,
    mPath: entry.path,
    mUfsPath: entry.ufsPath,
    mLastModificationTimeMs: entry.mtimeMs,
    mLength: entry.lengthBytes,
    mHumanReadableFileSize: humanSize(entry.lengthBytes),
  };
  if (personality === 'oss') return common;
  return {
    ...common,
    mCompleted: true,
    mOwner: String(entry.uid),
    mGroup: String(entry.gid),
    mMode: entry.mode,
    mCreationTimeMs: entry.mtimeMs,
    mLastAccessTimeMs: entry.mtimeMs,
    mPersisted: true,
    mInAlluxioPercentage: 0,
    ...(entry.type === 'file'
      ? { mContentHash: `(len:${entry.lengthBytes}, modtime:${entry.mtimeMs})` }
      : {}),
  };
}
