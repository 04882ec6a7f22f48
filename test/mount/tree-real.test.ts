import { FULL_TREE } from '../support/big-tree.ts';
import { treeSuite } from './tree-suite.ts';

treeSuite('real Alluxio', { pageSizeBytes: 1024 * 1024, spec: FULL_TREE, label: 'full tree' });
