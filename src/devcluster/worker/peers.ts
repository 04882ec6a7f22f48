/**
 * The other workers: who is alive according to etcd, who owns a path, and asking an owner. Owners
 * are asked over a private loopback port (`RpcPort` in etcd), where a real worker has its gRPC.
 */
import { Agent, createServer, request } from 'node:http';
import type { IncomingMessage, Server } from 'node:http';
import { Etcd3 } from 'etcd3';
import type { Lease } from 'etcd3';
import { byteStringOfText } from '../../base/byte-string.ts';
import { Ring } from '../../cluster/ring.ts';
import type { Worker } from '../../cluster/types.ts';
import type { WorkerConfig } from '../messages.ts';

/** A range read of a handful of keys; quick enough that a test sees a lease end at once. */
const POLL_MS = 250;
/** An owner on loopback answers in milliseconds; past this it is stopped or dead. */
const RPC_TIMEOUT_MS = 5000;
const ETCD_TIMEOUT_MS = 2000;

interface Member extends Worker {
  readonly rpcPort: number;
}

export interface RpcCall {
  readonly op: 'status' | 'list' | 'changed' | 'begin-write' | 'load';
  readonly path: string;
  readonly text: string;
}

export class Peers {
  readonly #config: WorkerConfig;
  readonly #etcd: Etcd3;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 32 });
  #httpPort = 0;
  #rpcPort = 0;
  #lease: Lease | undefined;
  #ring: Ring;
  #members: readonly Member[] = [];
  #membersKey = '';
  #stopped = false;

  constructor(config: WorkerConfig) {
    this.#config = config;
    this.#etcd = new Etcd3({
      hosts: [...config.etcdHosts],
      dialTimeout: ETCD_TIMEOUT_MS,
      defaultCallOptions: () => ({ deadline: Date.now() + ETCD_TIMEOUT_MS }),
    });
    this.#ring = new Ring([], { virtualNodes: config.virtualNodes });
  }

  get memberHosts(): readonly string[] {
    return this.#members.map((member) => member.host).sort();
  }

  get httpPort(): number {
    return this.#httpPort;
  }

  /** Registers, then keeps the registration and the view of the others fresh. */
  async join(ports: { httpPort: number; rpcPort: number }): Promise<void> {
    this.#httpPort = ports.httpPort;
    this.#rpcPort = ports.rpcPort;
    await this.#register();
    await this.#refresh();
    this.#poll();
  }

  async leave(): Promise<void> {
    this.#stopped = true;
    await this.#lease?.revoke().catch(ignored);
    this.#etcd.close();
  }

  /** Undefined: this worker itself, or nobody known. */
  otherOwnerOf(ufsUri: string): Worker | undefined {
    const owner = this.#ring.ownerOf(byteStringOfText(ufsUri));
    return owner === undefined || owner.id === this.#config.id ? undefined : owner;
  }

  ownerOf(ufsUri: string): Worker | undefined {
    return this.#ring.ownerOf(byteStringOfText(ufsUri));
  }

  async ask(owner: Worker, call: RpcCall): Promise<unknown> {
    const member = this.#members.find(({ id }) => id === owner.id);
    if (member === undefined) throw new Error(`No member ${owner.id}`);
    const body = Buffer.from(JSON.stringify(call));
    return new Promise((resolve, reject) => {
      const outgoing = request(
        {
          host: member.host,
          port: member.rpcPort,
          method: 'POST',
          agent: this.#agent,
          timeout: RPC_TIMEOUT_MS,
          headers: { 'content-length': body.length },
        },
        (response) => {
          readAll(response).then(
            (text) =>
              response.statusCode === 200
                ? resolve(JSON.parse(text.toString('utf8')))
                : reject(new RemoteError(text.toString('utf8'))),
            reject,
          );
        },
      );
      outgoing.on('timeout', () => outgoing.destroy(new Error('Owner does not answer')));
      outgoing.on('error', reject);
      outgoing.end(body);
    });
  }

  async #register(): Promise<void> {
    const { clusterName, id, leaseTtlS } = this.#config;
    const value = this.#registration();
    await this.#etcd.put(`/DHT/${clusterName}/AUTHORIZED/${id}`).value(value);
    const lease = this.#etcd.lease(leaseTtlS, { autoKeepAlive: true });
    await lease.put(`/ServiceDiscovery/${clusterName}/${id}`).value(value);
    this.#lease = lease;
    lease.once('lost', () => {
      if (this.#lease === lease) this.#lease = undefined;
    });
  }

  #registration(): string {
    return JSON.stringify({
      Identity: { version: 1, identifier: this.#config.identifier },
      WorkerNetAddress: {
        Host: this.#config.host,
        ContainerHost: '',
        RpcPort: this.#rpcPort,
        DataPort: 0,
        SecureRpcPort: 0,
        NettyDataPort: 0,
        WebPort: 0,
        DomainSocketPath: '',
        HttpServerPort: this.#httpPort,
      },
      State: 'AUTHORIZED',
      GenerationNumber: -1,
      ServiceEntityName: this.#config.id,
    });
  }

  #poll(): void {
    if (this.#stopped) return;
    setTimeout(() => {
      const work = async (): Promise<void> => {
        if (this.#lease === undefined) await this.#register();
        await this.#refresh();
      };
      // Etcd away: the last view is kept, as in the real worker, and the next tick tries again.
      void work().then(
        () => this.#poll(),
        () => this.#poll(),
      );
    }, POLL_MS);
  }

  async #refresh(): Promise<void> {
    const prefix = `/ServiceDiscovery/${this.#config.clusterName}/`;
    const values = await this.#etcd.getAll().prefix(prefix).strings();
    const key = JSON.stringify(values);
    if (key === this.#membersKey) return;
    this.#membersKey = key;
    const members = Object.values(values).map((value) => memberOf(value, this.#config.s3Port));
    this.#members = members.sort((a, b) => (a.id < b.id ? -1 : 1));
    this.#ring = new Ring(this.#members, { virtualNodes: this.#config.virtualNodes });
  }
}

/** The owner answered, and the answer is a failure of the call itself. */
export class RemoteError extends Error {}

export function createRpcServer(handle: (call: RpcCall) => Promise<unknown>): Server {
  return createServer((incoming, outgoing) => {
    const answer = async (): Promise<string> => {
      const text = await readAll(incoming);
      return JSON.stringify((await handle(JSON.parse(text.toString('utf8')) as RpcCall)) ?? null);
    };
    answer().then(
      (text) => outgoing.end(text),
      (error: unknown) => {
        outgoing.statusCode = 500;
        outgoing.end(error instanceof Error ? error.message : String(error));
      },
    );
  });
}

interface Registration {
  readonly Identity: { readonly version: number; readonly identifier: string };
  readonly WorkerNetAddress: {
    readonly Host: string;
    readonly RpcPort: number;
    readonly HttpServerPort: number;
  };
  readonly ServiceEntityName: string;
}

function memberOf(value: string, s3Port: number): Member {
  const { Identity, WorkerNetAddress, ServiceEntityName } = JSON.parse(value) as Registration;
  return {
    id: ServiceEntityName,
    identifier: Identity.identifier,
    version: Identity.version,
    host: WorkerNetAddress.Host,
    httpPort: WorkerNetAddress.HttpServerPort,
    s3Port,
    rpcPort: WorkerNetAddress.RpcPort,
  };
}

async function readAll(incoming: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

function ignored(): void {
  // The lease ends by itself.
}
