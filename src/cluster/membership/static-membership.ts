/** A fixed list of workers, as Alluxio's static membership file has it: one host a line. */
import type { Clock } from '../../base/clock.ts';
import type { MembershipView } from '../types.ts';
import type { WorkerAddress } from '../worker-identity.ts';
import { workerOfAddress } from '../worker-identity.ts';
import type { Membership, MembershipStatus } from './membership.ts';
import { ViewHolder } from './membership.ts';

export interface StaticMembershipOptions {
  /** `host`, `host:httpPort` (an IPv6 address with a port is written `[addr]:port`), or in parts. */
  readonly hosts: readonly (string | WorkerAddress)[];
  readonly httpPort: number;
  readonly s3Port: number;
  readonly clock: Clock;
}

export class StaticMembership implements Membership {
  readonly source = 'static worker list';
  readonly isWhole = false;
  readonly #clock: Clock;
  readonly #holder = new ViewHolder();

  /** Throws a RangeError for an empty list, a bad entry or an entry given twice. */
  constructor(options: StaticMembershipOptions) {
    this.#clock = options.clock;
    if (options.hosts.length === 0) throw new RangeError('Worker list is empty');
    const workers = options.hosts.map((entry) =>
      workerOfAddress(
        typeof entry === 'string' ? addressOf(entry.trim(), options) : entry,
        options.httpPort,
      ),
    );
    const ids = new Set(workers.map((worker) => worker.id));
    if (ids.size < workers.length) throw new RangeError('Worker list names a worker twice');
    this.#holder.replace(workers);
  }

  view(): MembershipView {
    return this.#holder.view;
  }

  status(): MembershipStatus {
    return 'current';
  }

  /** A list cannot grow old. */
  lastGoodAtMs(): number {
    return this.#clock.nowMs();
  }

  lastError(): undefined {
    return undefined;
  }

  onChange(): () => void {
    return () => undefined;
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

function addressOf(entry: string, options: StaticMembershipOptions): WorkerAddress {
  const match = /^(?:\[([0-9A-Fa-f:.%]+)\]|([A-Za-z0-9._-]+))(?::(\d{1,5}))?$/.exec(entry);
  // An IPv6 address without brackets can only be a host alone.
  const bare = /^[0-9A-Fa-f:.%]+$/.test(entry) && entry.split(':').length > 2;
  const host = bare ? entry : (match?.[1] ?? match?.[2]);
  const httpPort = bare || match?.[3] === undefined ? options.httpPort : Number(match[3]);
  if (host === undefined || httpPort < 1 || httpPort > 65_535) {
    throw new RangeError(`Worker must be like host or host:port: "${entry}"`);
  }
  return { host, httpPort, s3Port: options.s3Port };
}
