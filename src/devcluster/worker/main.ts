/**
 * One dev worker, in a process of its own so that it can be killed. It is told what to be in its
 * first IPC message, and it dies with its parent: the kernel closes the channel even when the
 * parent was killed with SIGKILL.
 */
import type { Server } from 'node:net';
import type { FromWorker, ToWorker, WorkerConfig, WorkerStats } from '../messages.ts';
import { enterpriseHttpHandler } from './enterprise-http.ts';
import { Faults } from './faults.ts';
import type { Request } from './http1.ts';
import { createHttp1Server } from './http1.ts';
import { Loads } from './loads.ts';
import { Metadata } from './metadata.ts';
import { NameSpace } from './name-space.ts';
import { ossHttpHandler } from './oss-http.ts';
import { PageStore } from './page-store.ts';
import { createRpcServer, Peers } from './peers.ts';
import { Roots } from './roots.ts';
import { s3Handler } from './s3.ts';

interface Running {
  readonly httpPort: number;
  readonly faults: Faults;
  readonly peers: Peers;
  setRoots(roots: WorkerConfig['roots']): void;
  stats(): WorkerStats;
}

async function run(config: WorkerConfig): Promise<Running> {
  const faults = new Faults();
  const counts = new Map<string, number>();
  const roots = new Roots(config.roots);
  const metadata = new Metadata(roots);
  const pages = new PageStore(config);
  const peers = new Peers(config);
  const names = new NameSpace(metadata, pages, peers);
  const loads = new Loads(names);
  const { personality } = config;

  const count = (label: string): void => {
    // Bounded by the endpoints and methods that there are; junk is counted together.
    const key = counts.size < 200 || counts.has(label) ? label : 'other';
    counts.set(key, (counts.get(key) ?? 0) + 1);
  };
  const http = createHttp1Server({
    port: 'http',
    faults,
    handlerOf: () =>
      personality === 'oss'
        ? ossHttpHandler({ names, pages })
        : enterpriseHttpHandler({ names, pages, peers, loads }),
    onRequest: (request) => count(`http:${endpointOf(request)}`),
  });
  const s3 = createHttp1Server({
    port: 's3',
    faults,
    handlerOf: () => s3Handler({ names, pages, peers, personality }),
    onRequest: (request) => count(`s3:${request.method}`),
  });
  const rpc = createRpcServer((call) => names.serve(call));

  const httpPort = await listen(http, config.host, config.httpPort);
  await listen(s3, config.host, config.s3Port);
  const rpcPort = await listen(rpc, config.host, 0);
  await peers.join({ httpPort, rpcPort });
  return {
    httpPort,
    faults,
    peers,
    setRoots(all) {
      roots.all = all;
      metadata.forget();
    },
    stats: () => ({
      requests: Object.fromEntries(counts),
      pagesCached: pages.pagesCached,
      bytesCached: pages.bytesCached,
      pagesLoaded: pages.pagesLoaded,
      faultsApplied: faults.applied,
      members: peers.memberHosts,
    }),
  };
}

function endpointOf(request: Request): string {
  return request.target.split('?')[0]?.split('/')[2]?.slice(0, 20) ?? '';
}

function listen(server: Server, host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port }, () => {
      const address = server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : port);
    });
  });
}

function tell(message: FromWorker): void {
  process.send?.(message);
}

let running: Running | undefined;

async function obey(message: ToWorker): Promise<void> {
  switch (message.type) {
    case 'start':
      running = await run(message.config);
      tell({ type: 'ready', httpPort: running.httpPort });
      return;
    case 'faults':
      running?.faults.set(message.rules, message.seed);
      tell({ type: 'faults-set' });
      return;
    case 'roots':
      running?.setRoots(message.roots);
      tell({ type: 'roots-set' });
      return;
    case 'stats':
      if (running !== undefined) tell({ type: 'stats', stats: running.stats() });
      return;
    case 'leave':
      await running?.peers.leave();
      process.exit(0);
  }
}

process.on('disconnect', () => process.exit(0));
process.on('message', (message: ToWorker) => {
  obey(message).catch((error: unknown) => {
    const code = (error as NodeJS.ErrnoException).code ?? '';
    const text = error instanceof Error ? error.message : String(error);
    tell({ type: 'failed', code, message: text });
  });
});
// Ctrl-C reaches the whole process group; the parent decides when its workers stop.
process.on('SIGINT', () => undefined);
