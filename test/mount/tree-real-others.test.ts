import { otherTree } from '../support/big-tree.ts';
import { treeSuite } from './tree-suite.ts';

treeSuite('real Alluxio', { pageSizeBytes: 4 * 1024 * 1024, ...otherTree() });
