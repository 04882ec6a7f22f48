import { readFileSync } from 'node:fs';
import { startRealAlluxio } from '../support/real-alluxio.ts';
import { skipReason } from '../support/skip.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import type { ContractTarget } from './target.ts';
import { workerContract } from './worker-contract.ts';

/**
 * A file that describes a real cluster that already runs: the line of JSON that `devcluster`
 * prints, with `dataDir` and `virtualNodes` besides. Saves the start of three JVMs while working
 * on the suite.
 */
const running = process.env['ALLUXIO_FUSE_TEST_REAL_CLUSTER'];

workerContract('real worker, open source', {
  skip: running === undefined ? skipReason('real-alluxio') : false,
  async acquire(cleanup) {
    if (running !== undefined) {
      const found = JSON.parse(readFileSync(running, 'utf8')) as ContractTarget['info'] &
        Pick<ContractTarget, 'dataDir' | 'virtualNodes'>;
      return { info: found, dataDir: found.dataDir, virtualNodes: found.virtualNodes };
    }
    const ufsDir = await makeTempDir(cleanup, 'ufs');
    const options = { workers: 3, pageSizeBytes: 64 * 1024, ufsDir, virtualNodes: 5 };
    const cluster = await startRealAlluxio(cleanup, options);
    return { info: cluster.info, dataDir: ufsDir, virtualNodes: options.virtualNodes };
  },
});
