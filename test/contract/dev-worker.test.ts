import { skipReason } from '../support/skip.ts';
import { startTestDevcluster } from '../support/devcluster.ts';
import { workerContract } from './worker-contract.ts';

workerContract('dev worker, open source', {
  skip: skipReason('etcd'),
  async acquire(cleanup) {
    const virtualNodes = 5;
    const cluster = await startTestDevcluster(cleanup, { personality: 'oss', virtualNodes });
    return { info: cluster.info, dataDir: cluster.dataDir, virtualNodes };
  },
});
