import { toolsSuite } from './tools-suite.ts';

toolsSuite('devcluster oss');
