import type { Scenario } from '../support/scenario.ts';
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
  smallFiles,
  sequential,
  random,
  ring,
  writing,
  transfer,
];
