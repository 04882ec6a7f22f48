/** Workers that nobody runs, with the identities that their hosts give them. */
import type { Worker } from '../types.ts';
import { identifierOfHost, workerIdText } from '../worker-identity.ts';

/** Hosts `w0`, `w1`, … */
export function workersOf(count: number): Worker[] {
  return Array.from({ length: count }, (_, i) => {
    const host = `w${i}`;
    const identifier = identifierOfHost(host);
    const id = workerIdText(1, identifier);
    return { id, identifier, version: 1, host, httpPort: 28_080, s3Port: 29_998 };
  });
}
