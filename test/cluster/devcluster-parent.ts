/** Run by a test in a process of its own: starts a devcluster and waits to be killed. */
import { startDevcluster } from '../../src/devcluster/index.ts';

const cluster = await startDevcluster({
  workers: 2,
  dataDir: process.argv[2],
  pageSizeBytes: 65_536,
  personality: 'oss',
});
process.send?.({ info: cluster.info, pids: cluster.workers.map((worker) => worker.pid) });
process.on('disconnect', () => void cluster.stop().then(() => process.exit(0)));
