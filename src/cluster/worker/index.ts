/**
 * The client of one worker, over its HTTP port and its S3 port. What each of them can carry, and
 * what each of them means by its answers, is known only in this folder.
 */
export {
  createWorkerClient,
  defaultWorkerTimeouts,
  UndiciWorkerClient,
  type WorkerClientOptions,
  type WorkerTimeouts,
} from './undici-worker-client.ts';
