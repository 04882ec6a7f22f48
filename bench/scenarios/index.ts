import type { Scenario } from '../support/scenario.ts';
import { diskIndex } from './disk-index.ts';
import { firstByte } from './first-byte.ts';
import { idle } from './idle.ts';
import { listing } from './listing.ts';
import { memory } from './memory.ts';
import { random } from './random.ts';
import { readdir } from './readdir.ts';
import { ring } from './ring.ts';
import { sequential } from './sequential.ts';
import { smallFiles } from './small-files.ts';
import { stat } from './stat.ts';
import { transfer } from './transfer.ts';
import { writing } from './writing.ts';

export const SCENARIOS: readonly Scenario[] = [
  stat,
  readdir,
  listing,
  smallFiles,
  firstByte,
  sequential,
  random,
  ring,
  diskIndex,
  memory,
  idle,
  writing,
  transfer,
];
