import { otherTree } from '../support/big-tree.ts';
import { treeSuite } from './tree-suite.ts';

const MIB = 1024 * 1024;

treeSuite('devcluster oss', { pageSizeBytes: 4 * MIB, ...otherTree() });
treeSuite('devcluster enterprise', { pageSizeBytes: MIB, ...otherTree() });
treeSuite('devcluster enterprise', { pageSizeBytes: 4 * MIB, ...otherTree() });
