/** The command line of bin/bench. */
import { parseArgs } from 'node:util';
import { SCENARIOS } from '../scenarios/index.ts';
import { SUBJECT_TITLES } from '../subjects/all.ts';

const SUBJECT_IDS = [...SUBJECT_TITLES.keys()];
const SCENARIO_NAMES = SCENARIOS.map(({ name }) => name);
const LINE_CHARS = 74;

function inLines(names: readonly string[]): string {
  const lines = [''];
  for (const name of names) {
    const line = lines.at(-1) ?? '';
    if (line.length + name.length > LINE_CHARS) lines.push(`${name}, `);
    else lines[lines.length - 1] = `${line}${name}, `;
  }
  return lines.join('\n                  ').replace(/, $/, '').replaceAll(/ +\n/g, '\n');
}

export const USAGE = `bin/bench [--quick] [--runs N] [--only SCENARIO,…] [--subjects ID,…]
          [--real-cluster etcd=HOST:PORT,ufs=DIR[,page-size=BYTES]] [--data DIR]
          [--json FILE] [--publish] [--install] [--ours FLAG …]

  --quick         3 runs instead of 5
  --only          scenarios: ${inLines(SCENARIO_NAMES)}
  --subjects      ${inLines(SUBJECT_IDS)}
  --real-cluster  workers that run already, over the directory DIR, instead of one of our own
  --data          root of the under store when we start the worker; kept. Default: a temporary one
  --json          where the results go besides the table
  --publish       also puts these scenarios in docs/performance.json, and makes the page and its
                  plots from it; scenarios that did not run stay as they were
  --install       first installs the peers that are missing (Debian packages, go install, cargo)
  --ours          a flag for our mount, such as --ours=--max-read-ahead=32MB; may be repeated`;

export interface BenchOptions {
  readonly runs: number;
  readonly only: readonly string[] | undefined;
  readonly subjects: readonly string[] | undefined;
  readonly realCluster: string | undefined;
  readonly data: string | undefined;
  readonly json: string | undefined;
  readonly isPublished: boolean;
  readonly ours: readonly string[];
}

/** Two would have no middle; more than a hundred is a mistake. */
const RUNS_MAX = 100;

export function parseOptions(args: readonly string[]): BenchOptions | 'help' {
  const { values } = parseArgs({
    args: [...args],
    options: {
      quick: { type: 'boolean' },
      runs: { type: 'string' },
      only: { type: 'string' },
      subjects: { type: 'string' },
      'real-cluster': { type: 'string' },
      data: { type: 'string' },
      json: { type: 'string' },
      publish: { type: 'boolean' },
      ours: { type: 'string', multiple: true },
      help: { type: 'boolean', short: 'h' },
    },
  });
  if (values.help === true) return 'help';
  const runs = Number(values.runs ?? (values.quick === true ? 3 : 5));
  if (!Number.isInteger(runs) || runs < 1 || runs > RUNS_MAX) {
    throw new Error(`--runs: a whole number from 1 to ${RUNS_MAX}: ${values.runs}`);
  }
  return {
    runs,
    only: named('--only', values.only, SCENARIO_NAMES),
    subjects: named('--subjects', values.subjects, SUBJECT_IDS),
    realCluster: values['real-cluster'],
    data: values.data,
    json: values.json,
    isPublished: values.publish === true,
    ours: values.ours ?? [],
  };
}

function named(
  option: string,
  text: string | undefined,
  known: readonly string[],
): readonly string[] | undefined {
  const names = text?.split(',');
  const unknown = names?.find((name) => !known.includes(name));
  if (unknown !== undefined) throw new Error(`${option}: none is called "${unknown}"`);
  return names;
}
