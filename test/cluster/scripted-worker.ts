/** One open-source worker behind a scripted server, and a client that knows no other. */
import type { Worker } from '../../src/cluster/types.ts';
import type { WorkerClient } from '../../src/cluster/worker-client.ts';
import { createWorkerClient } from '../../src/cluster/worker/index.ts';
import { respond, ScriptedServer, type Script } from './scripted-server.ts';

export interface ScriptedWorker {
  readonly server: ScriptedServer;
  readonly worker: Worker;
  readonly client: WorkerClient;
}

/** `script` answers all but the questions by which a client finds out what it talks to. */
export async function startScriptedWorker(
  script: Script,
  pageSizeBytes: number,
  closers: (() => Promise<void>)[],
): Promise<ScriptedWorker> {
  const server = new ScriptedServer((request, socket) => {
    if (request.target === '/v1/ufsInfo') socket.end();
    else if (request.target === '/v1/health') respond(socket, '200 OK', 'worker is active');
    else script(request, socket);
  });
  const port = await server.listen();
  const worker: Worker = {
    id: 'worker-1',
    identifier: '01',
    version: 1,
    host: '127.0.0.1',
    httpPort: port,
    s3Port: port,
  };
  const client = createWorkerClient({ pageSizeBytes });
  closers.push(
    () => client.close(),
    () => server.close(),
  );
  return { server, worker, client };
}
