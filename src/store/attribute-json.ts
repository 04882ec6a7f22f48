/**
 * Records as JSON, and the attribute file of a directory: a line that names the format, then a line
 * a name. Names that are UTF-8 are written as text, others as base64 (`docs/decisions/005`).
 */
import {
  byteStringOfBytes,
  byteStringOfText,
  bytesOfByteString,
  textOfByteString,
} from '../base/byte-string.ts';
import type { ByteString } from '../base/byte-string.ts';
import type { AttributeRecord, SpecialKind } from './attribute-record.ts';

/** Text, or base64 where the bytes are no UTF-8. */
type BytesJson = string | { readonly base64: string };

export interface RecordJson {
  readonly kind?: SpecialKind | undefined;
  readonly mode?: number | undefined;
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
  readonly atimeMs?: number | undefined;
  readonly mtimeMs?: number | undefined;
  readonly ctimeMs?: number | undefined;
  readonly deviceNumber?: number | undefined;
  readonly timesOf?: { readonly lengthBytes: number; readonly mtimeMs: number } | undefined;
  readonly target?: BytesJson;
  /** Name and value in base64. */
  readonly xattrs?: readonly (readonly [BytesJson, string])[];
}

const FORMAT = 'alluxio-fuse attributes';
const VERSION = 1;

const KINDS: ReadonlySet<string> = new Set<SpecialKind>([
  'symlink',
  'fifo',
  'socket',
  'character-device',
  'block-device',
]);
const NUMBERS = ['mode', 'uid', 'gid', 'atimeMs', 'mtimeMs', 'ctimeMs', 'deviceNumber'] as const;

function bytesToJson(bytes: ByteString): BytesJson {
  return textOfByteString(bytes) ?? { base64: bytesOfByteString(bytes).toString('base64') };
}

function bytesFromJson(json: unknown): ByteString {
  if (typeof json === 'string') return byteStringOfText(json);
  const { base64 } = json as { base64?: unknown };
  if (typeof base64 !== 'string') throw new TypeError('neither text nor base64');
  return byteStringOfBytes(Buffer.from(base64, 'base64'));
}

export function recordToJson(record: AttributeRecord): RecordJson {
  const { target, xattrs, ...plain } = record;
  return {
    ...plain,
    ...(target === undefined ? {} : { target: bytesToJson(target) }),
    ...(xattrs === undefined
      ? {}
      : {
          xattrs: [...xattrs].map(([name, value]) => [
            bytesToJson(name),
            Buffer.from(value).toString('base64'),
          ]),
        }),
  };
}

/** Throws on what is not a record. Fields that a later version added are left out. */
export function recordFromJson(json: unknown): AttributeRecord {
  if (typeof json !== 'object' || json === null) throw new TypeError('not a record');
  const fields = json as Record<string, unknown>;
  const record: Record<string, unknown> = {};
  for (const key of NUMBERS) {
    const value = fields[key];
    if (value === undefined) continue;
    if (typeof value !== 'number' || !Number.isFinite(value)) throw new TypeError(`bad ${key}`);
    record[key] = value;
  }
  if (fields['kind'] !== undefined) {
    if (!KINDS.has(fields['kind'] as string)) throw new TypeError('bad kind');
    record['kind'] = fields['kind'];
  }
  if (fields['timesOf'] !== undefined) {
    const { lengthBytes, mtimeMs } = fields['timesOf'] as Record<string, unknown>;
    if (typeof lengthBytes !== 'number' || typeof mtimeMs !== 'number') {
      throw new TypeError('bad timesOf');
    }
    record['timesOf'] = { lengthBytes, mtimeMs };
  }
  if (fields['target'] !== undefined) record['target'] = bytesFromJson(fields['target']);
  if (fields['xattrs'] !== undefined) {
    const xattrs = new Map<ByteString, Uint8Array>();
    for (const [name, value] of fields['xattrs'] as [unknown, unknown][]) {
      xattrs.set(bytesFromJson(name), Buffer.from(String(value), 'base64'));
    }
    record['xattrs'] = xattrs;
  }
  return record;
}

export type AttributeRecords = ReadonlyMap<ByteString, AttributeRecord>;

export function encodeAttributeFile(records: AttributeRecords): Buffer {
  const lines = [JSON.stringify({ format: FORMAT, version: VERSION, records: records.size })];
  for (const [name, record] of records) {
    lines.push(JSON.stringify({ name: bytesToJson(name), ...recordToJson(record) }));
  }
  return Buffer.from(`${lines.join('\n')}\n`, 'utf8');
}

/** `damage` says what is wrong; what can be read of the file is used all the same. */
export function decodeAttributeFile(bytes: Buffer): {
  readonly records: AttributeRecords;
  readonly damage: string | undefined;
} {
  const records = new Map<ByteString, AttributeRecord>();
  const lines = bytes.toString('utf8').split('\n');
  let damage: string | undefined = lines.pop() === '' ? undefined : 'its last line is torn';
  try {
    const header = JSON.parse(lines.shift() ?? '') as Record<string, unknown>;
    if (header['format'] !== FORMAT || header['version'] !== VERSION) {
      return { records, damage: 'it is of another format or version' };
    }
    // A copy that was cut between two lines.
    if (header['records'] !== lines.length) damage ??= 'records are missing';
  } catch {
    return { records, damage: 'it does not begin with its format' };
  }
  for (const [index, line] of lines.entries()) {
    try {
      const json = JSON.parse(line) as { name?: unknown };
      records.set(bytesFromJson(json.name), recordFromJson(json));
    } catch {
      damage = `line ${index + 2} is no record`;
    }
  }
  return { records, damage };
}

export function isSameRecord(
  a: AttributeRecord | undefined,
  b: AttributeRecord | undefined,
): boolean {
  if (a === undefined || b === undefined) return a === b;
  return canonical(a) === canonical(b);
}

/** The order in which fields were set says nothing. */
function canonical(record: AttributeRecord): string {
  const json: Record<string, unknown> = { ...recordToJson(record) };
  return JSON.stringify(
    Object.keys(json)
      .sort()
      .map((key) => [key, json[key]]),
  );
}

export function isSameRecords(a: AttributeRecords, b: AttributeRecords): boolean {
  if (a.size !== b.size) return false;
  for (const [name, record] of a) if (!isSameRecord(record, b.get(name))) return false;
  return true;
}
