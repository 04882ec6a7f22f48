/** Identities of workers that no membership service names: the ones Alluxio gives to a static list. */
import { createHash } from 'node:crypto';
import type { Worker } from './types.ts';

export interface WorkerAddress {
  readonly host: string;
  readonly httpPort: number;
  readonly s3Port: number;
}

/** A DNS name has at most 253 characters, the text of an IPv6 address with a zone far fewer. */
const HOST_LENGTH_MAX = 253;

/** Letters, digits, `.`, `-`, `_`, and `:` and `%` of IPv6: nothing that could change a URL. */
export function isHost(value: unknown): value is string {
  return (
    typeof value === 'string' &&
    value.length <= HOST_LENGTH_MAX &&
    /^[A-Za-z0-9._:%-]+$/.test(value)
  );
}

export function isPort(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value > 0 && value < 65_536;
}

/**
 * Alluxio hashes the host alone. Several workers of one host cannot be told apart that way (it has no
 * such clusters), so one with another port than the common one is its own identity.
 */
export function workerOfAddress(address: WorkerAddress, commonHttpPort: number): Worker {
  const { host, httpPort, s3Port } = address;
  const identifier = identifierOfHost(httpPort === commonHttpPort ? host : `${host}:${httpPort}`);
  return { id: workerIdText(1, identifier), identifier, version: 1, host, httpPort, s3Port };
}

/**
 * Java's name-based UUID of a host name (`UUID.nameUUIDFromBytes`): MD5 of the UTF-8 bytes with
 * version 3 and the RFC 4122 variant, no name space. As 32 hex digits.
 */
export function identifierOfHost(host: string): string {
  const bytes = createHash('md5').update(host, 'utf8').digest();
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x30, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  return bytes.toString('hex');
}

/** `worker-<uuid>` for version 1, `worker-<decimal>` for version 0, as Alluxio prints them. */
export function workerIdText(version: number, identifier: string): string {
  if (version === 0 && identifier.length === 16) {
    return `worker-${BigInt.asIntN(64, BigInt(`0x${identifier}`))}`;
  }
  if (identifier.length !== 32) return `worker-${identifier}`;
  const parts = [
    identifier.slice(0, 8),
    identifier.slice(8, 12),
    identifier.slice(12, 16),
    identifier.slice(16, 20),
    identifier.slice(20),
  ];
  return `worker-${parts.join('-')}`;
}
