/** Identities of workers that no membership service names: the ones Alluxio gives to a static list. */
import { createHash } from 'node:crypto';

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
