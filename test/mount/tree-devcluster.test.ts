import { treeOf } from '../support/big-tree.ts';
import { treeSuite } from './tree-suite.ts';

const MIB = 1024 * 1024;

treeSuite('devcluster oss', { pageSizeBytes: MIB, ...treeOf() });
treeSuite('devcluster oss', { pageSizeBytes: 4 * MIB, ...treeOf() });
treeSuite('devcluster enterprise', { pageSizeBytes: MIB, ...treeOf() });
treeSuite('devcluster enterprise', { pageSizeBytes: 4 * MIB, ...treeOf() });
treeSuite('devcluster oss', { pageSizeBytes: MIB, ...treeOf(), isFromDisk: true });
treeSuite('devcluster oss', { pageSizeBytes: MIB, ...treeOf(), isImmutable: true });
treeSuite('devcluster enterprise', {
  pageSizeBytes: 4 * MIB,
  ...treeOf(),
  isFromDisk: true,
  isImmutable: true,
});
