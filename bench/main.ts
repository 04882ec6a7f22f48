/**
 * bin/bench: all scenarios over all subjects, in turns, so that what else the machine does falls on
 * all alike. Figures are for comparing within one run; nothing is asserted.
 */
import { mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { cpus, release, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { repositoryRoot } from '../test/support/repository.ts';
import { SCENARIOS } from './scenarios/index.ts';
import { assemble } from './subjects/all.ts';
import type { Cast } from './subjects/all.ts';
import type { Bench, Subject } from './subjects/subject.ts';
import { runCommand } from './support/children.ts';
import { DataSet } from './support/data-set.ts';
import { summarise } from './support/figures.ts';
import type { Figures, Results, RowResult, ScenarioResult } from './support/figures.ts';
import { parseOptions, USAGE } from './support/options.ts';
import type { BenchOptions } from './support/options.ts';
import { publish } from './support/publish.ts';
import type { Scenario } from './support/scenario.ts';
import { tableOf } from './support/table.ts';
import { Workload } from './support/workload.ts';

const say = (text: string): void => void process.stderr.write(`${text}\n`);

async function main(args: readonly string[]): Promise<void> {
  const options = parseOptions(args);
  if (options === 'help') {
    process.stdout.write(`${USAGE}\n`);
    return;
  }
  if (process.getuid?.() !== 0) throw new Error('Mounting and dropping caches needs root');
  const cleanups: (() => Promise<void>)[] = [];
  const undoAll = async (): Promise<void> => {
    // What is started while the rest is being stopped is stopped too.
    for (let work = cleanups.pop(); work !== undefined; work = cleanups.pop()) {
      await work().catch((error: unknown) => say(`Cleaning up: ${String(error)}`));
    }
  };
  // One after the other: a signal during the last clean-up waits for it.
  let cleaning = Promise.resolve();
  const cleanUp = (): Promise<void> => (cleaning = cleaning.then(undoAll));
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      say(`${signal}: unmounting and stopping`);
      void cleanUp().finally(() => process.exit(130));
    });
  }
  try {
    await runAll(options, (work) => cleanups.push(work));
  } finally {
    await cleanUp();
  }
}

async function runAll(
  options: BenchOptions,
  cleanup: (work: () => Promise<void>) => void,
): Promise<void> {
  const workDir = await realpath(await mkdtemp(join(tmpdir(), 'alluxio-fuse-bench-')));
  cleanup(() => rm(workDir, { recursive: true, force: true }));
  const source = join(repositoryRoot(), 'bench', 'workload.c');
  const workload = await Workload.compile(source, workDir);
  const data = new DataSet(dataRoot(options, workDir));
  say(`Files in ${data.folder}`);
  await data.make();
  cleanup(() => data.removeFresh());
  const cast = await assemble({ cleanup, options, data, workload, workDir });
  for (const { title, missing } of cast.notes) {
    if (missing !== undefined) say(`Missing: ${title}: ${missing}`);
  }
  const scenarios = SCENARIOS.filter(({ name }) => options.only?.includes(name) ?? true);
  const ids = cast.subjects.map(({ id }) => id);
  const ours = ['ours', 'ours-dev'].find((id) => ids.includes(id));
  const bench: Bench = { data, workload, ours };
  await warmServers(cast, bench);
  const results: ScenarioResult[] = [];
  for (const scenario of scenarios) {
    const result = await runScenario(scenario, cast.subjects, bench, options.runs);
    results.push(result);
    process.stdout.write(tableOf(result, cast.notes));
  }
  const all = await describe(options, cast, results);
  if (options.json !== undefined)
    await writeFile(options.json, `${JSON.stringify(all, null, 1)}\n`);
  if (options.isPublished) await publish(all, repositoryRoot());
}

function dataRoot(options: BenchOptions, workDir: string): string {
  if (options.realCluster !== undefined) {
    const ufs = /(?:^|,)ufs=([^,]+)/.exec(options.realCluster)?.[1];
    if (ufs === undefined) throw new Error('--real-cluster needs ufs=DIR');
    return ufs;
  }
  return options.data ?? join(workDir, 'ufs');
}

/** "Mount cold" means that the server has the files; the first reader of all would pay for it. */
async function warmServers(cast: Cast, { data, workload }: Bench): Promise<void> {
  const warm = new Set<object>();
  for (const subject of cast.subjects) {
    if (subject.kind !== 'mount' || subject.cluster === undefined) continue;
    if (warm.has(subject.cluster)) continue;
    warm.add(subject.cluster);
    say(`Filling the cache of the workers behind ${subject.title}`);
    await subject.restart();
    await workload.files(
      [data.big, data.first, ...data.small].map((path) => join(subject.folder, path)),
      8,
      300,
    );
  }
}

async function runScenario(
  scenario: Scenario,
  subjects: readonly Subject[],
  bench: Bench,
  runs: number,
): Promise<ScenarioResult> {
  const values = new Map<string, number[]>();
  const failures = new Map<string, string>();
  const key = (row: string, subject: string): string => `${row} ${subject}`;
  for (let round = 0; round < runs; round++) {
    for (const subject of subjects) {
      const startedMs = performance.now();
      try {
        const figures = await measure(scenario, subject, bench, round);
        if (Object.keys(figures).length === 0) continue;
        for (const [row, value] of Object.entries(figures)) {
          const list = values.get(key(row, subject.id)) ?? [];
          values.set(key(row, subject.id), [...list, value]);
        }
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        failures.set(subject.id, reason);
        say(`${scenario.name}: ${subject.title}: ${reason}`);
      }
      const seconds = ((performance.now() - startedMs) / 1000).toFixed(0);
      say(`${scenario.name} ${round + 1}/${runs}: ${subject.title} (${seconds} s)`);
    }
  }
  const rows: RowResult[] = scenario.rows.map((row) => ({
    ...row,
    figures: Object.fromEntries(
      subjects
        .map(({ id }) => [id, values.get(key(row.id, id))] as const)
        .filter((pair): pair is [string, number[]] => pair[1] !== undefined)
        .map(([id, list]) => [id, summarise(list)]),
    ),
    failures: Object.fromEntries(failures),
  }));
  return { name: scenario.name, rows };
}

async function measure(
  scenario: Scenario,
  subject: Subject,
  bench: Bench,
  round: number,
): Promise<Figures> {
  switch (subject.kind) {
    case 'curl':
      return (await scenario.curl?.(subject, bench, round)) ?? {};
    case 'load':
      return (await scenario.load?.(subject, bench, round)) ?? {};
    case 'copier':
      return (await scenario.copier?.(subject, bench, round)) ?? {};
    case 'program':
      return (await scenario.program?.(subject, bench, round)) ?? {};
    default:
      return (await scenario.mount?.(subject, bench, round)) ?? {};
  }
}

async function describe(
  options: BenchOptions,
  cast: Cast,
  scenarios: readonly ScenarioResult[],
): Promise<Results> {
  const git = ['-C', repositoryRoot(), 'describe', '--always', '--dirty'];
  const commit = await runCommand('git', git, { timeoutMs: 10_000 }).catch(() => 'unknown');
  return {
    date: new Date().toISOString().slice(0, 10),
    commit: commit.trim(),
    machine: {
      cores: `${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}`,
      memory: `${Math.round(totalmem() / 1024 ** 3)} GiB`,
      kernel: `Linux ${release()}`,
      node: process.version,
    },
    runs: options.runs,
    subjects: cast.notes,
    scenarios,
  };
}

main(process.argv.slice(2)).catch((error: unknown) => {
  say(`bin/bench: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
});
