/** The command line of bin/bench. */
import { parseArgs } from 'node:util';

export const USAGE = `bin/bench [--quick] [--runs N] [--only SCENARIO,…] [--subjects ID,…]
          [--real-cluster etcd=HOST:PORT,ufs=DIR[,page-size=BYTES]] [--data DIR]
          [--json FILE] [--publish] [--install] [--ours FLAG …]

  --quick         3 runs instead of 5
  --only          scenarios: stat, readdir, small-files, sequential, random, writing, transfer
  --subjects      local, ours, curl-page, curl-s3, alluxio-fuse, ours-dev, curl-page-dev,
                  curl-s3-dev, rclone, s3fs; of transfer: ours-copy, ours-copy-dev, rclone-copy
  --real-cluster  workers that run already, over the directory DIR, instead of one of our own
  --data          root of the under store when we start the worker; kept. Default: a temporary one
  --json          where the results go besides the table
  --publish       also writes docs/performance.json and docs/performance.md
  --install       first installs the peers that are missing (Debian packages, go install)
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
    only: values.only?.split(','),
    subjects: values.subjects?.split(','),
    realCluster: values['real-cluster'],
    data: values.data,
    json: values.json,
    isPublished: values.publish === true,
    ours: values.ours ?? [],
  };
}
