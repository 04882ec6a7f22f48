import { toolsSuite } from './tools-suite.ts';

toolsSuite('real Alluxio');
