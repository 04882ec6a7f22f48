import { treeOf } from '../support/big-tree.ts';
import { treeSuite } from './tree-suite.ts';

const MIB = 1024 * 1024;

treeSuite('real Alluxio', { pageSizeBytes: MIB, ...treeOf() });
treeSuite('real Alluxio', { pageSizeBytes: 4 * MIB, ...treeOf() });
treeSuite('real Alluxio', { pageSizeBytes: MIB, ...treeOf(), isFromDisk: true });
