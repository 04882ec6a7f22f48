/**
 * The JSON that an Alluxio worker puts into etcd under its leased key. Liberal in what is left out
 * or added (fields come and go between versions), strict in what we rely on: an identity to hash
 * and an address to call.
 */
import type { Worker } from '../types.ts';
import { isHost, isPort, workerIdText } from '../worker-identity.ts';

/** Real values are about 400 bytes; Alluxio has no field that grows. */
export const ENTRY_LENGTH_MAX = 64 * 1024;
/** A UUID has 16 bytes, a long 8; room for a successor of both. */
const IDENTIFIER_BYTES_MAX = 64;
/** What Alluxio's own clients assume where a field is left out. */
const DEFAULT_HOST = 'localhost';
const DEFAULT_HTTP_PORT = 28080;

/** An entry that says no worker. `message` says which part is wrong, never the value itself. */
export class WorkerEntryError extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, { cause });
    this.name = 'WorkerEntryError';
  }
}

export interface WorkerEntryOptions {
  /** Not in the value: the configured port, the same on every host. */
  readonly s3Port: number;
}

/** Throws `WorkerEntryError`, and nothing else, whatever the text. */
export function parseWorkerEntry(text: string, options: WorkerEntryOptions): Worker {
  if (text.length > ENTRY_LENGTH_MAX) throw new WorkerEntryError('Value is too long');
  const value = recordOf(parseJson(text), 'Value');
  const identity = recordOf(value['Identity'], 'Identity');
  const address = recordOf(value['WorkerNetAddress'] ?? {}, 'WorkerNetAddress');
  const version = versionOf(identity['version']);
  const identifier = identifierOf(identity['identifier']);
  return {
    id: workerIdText(version, identifier),
    identifier,
    version,
    host: hostOf(address['Host'] ?? DEFAULT_HOST),
    httpPort: portOf(address['HttpServerPort'] ?? DEFAULT_HTTP_PORT),
    s3Port: options.s3Port,
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new WorkerEntryError('Value is not JSON', error);
  }
}

function recordOf(value: unknown, what: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new WorkerEntryError(`${what} is not an object`);
  }
  return value as Record<string, unknown>;
}

function versionOf(value: unknown): number {
  // Unknown versions are hashed as they are: only the range matters.
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value < 2 ** 31) {
    return value;
  }
  throw new WorkerEntryError('Identity.version is not an int32');
}

function identifierOf(value: unknown): string {
  if (
    typeof value === 'string' &&
    value.length >= 2 &&
    value.length <= 2 * IDENTIFIER_BYTES_MAX &&
    /^(?:[0-9a-fA-F]{2})+$/.test(value)
  ) {
    return value.toLowerCase();
  }
  throw new WorkerEntryError('Identity.identifier is not hexadecimal');
}

function hostOf(value: unknown): string {
  if (isHost(value)) return value;
  throw new WorkerEntryError('WorkerNetAddress.Host is not a host');
}

function portOf(value: unknown): number {
  if (isPort(value)) return value;
  throw new WorkerEntryError('WorkerNetAddress.HttpServerPort is not a port');
}
