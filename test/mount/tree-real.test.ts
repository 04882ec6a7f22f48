import { FULL_TREE, SMALL_TREE } from '../support/big-tree.ts';
import { treeSuite } from './tree-suite.ts';

const MIB = 1024 * 1024;
/** Set to test both page sizes with 20,000 files and 2 GB; left out, the first has them. */
const isAllFull = process.env['ALLUXIO_FUSE_TEST_FULL_TREES'] === '1';
const full = { spec: FULL_TREE, label: 'full tree' };
const other = isAllFull ? full : { spec: SMALL_TREE, label: 'smaller tree' };

treeSuite('real Alluxio', { pageSizeBytes: MIB, ...full });
treeSuite('real Alluxio', { pageSizeBytes: 4 * MIB, ...other });
