/** docs/performance.json, and what is made from it: the figures in docs/performance.md and the plots. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { format, resolveConfig } from 'prettier';
import { SCENARIOS } from '../scenarios/index.ts';
import { SUBJECT_TITLES } from '../subjects/all.ts';
import { formatSummary } from './figures.ts';
import type { Results, RowResult, ScenarioResult, SubjectNote } from './figures.ts';
import { goalsTable, verdicts } from './goals.ts';
import { GOALS_PLOT, plotName, writePlots } from './plots.ts';
import { oursFor, ratio } from './table.ts';

const PLOTS = 'plots';
const END = '<!-- end -->';
const begin = (what: string): string =>
  `<!-- begin: ${what}, made by bench/report.ts from performance.json -->`;

/** Scenarios that did not run stay as they were measured. */
export async function publish(results: Results, root: string): Promise<void> {
  const file = join(root, 'docs', 'performance.json');
  const before = await readFile(file, 'utf8').then(
    (text) => JSON.parse(text) as Results,
    () => undefined,
  );
  const all = before === undefined ? dated(results) : joined(dated(before), dated(results));
  await writeFile(file, `${JSON.stringify(all, null, 1)}\n`);
  await writeReport(root);
}

/** Each scenario says when, of what and where it was measured: the next run may be of another one. */
function dated(results: Results): Results {
  const { date, commit, runs } = results;
  const machine = Object.values(results.machine).join(', ');
  const measured = `${date} at ${commit}, ${runs} ${runs === 1 ? 'run' : 'runs'}`;
  return {
    ...results,
    scenarios: results.scenarios.map((scenario) => ({
      measured,
      machine,
      ...scenario,
    })),
  };
}

function joined(before: Results, now: Results): Results {
  const ran = new Map(now.scenarios.map((scenario) => [scenario.name, scenario]));
  const kept = new Map(before.scenarios.map((scenario) => [scenario.name, scenario]));
  const ids = [...SUBJECT_TITLES.keys()];
  const subjects = new Map(before.subjects.map((note) => [note.id, note]));
  for (const note of now.subjects) {
    if (note.missing === undefined || !subjects.has(note.id)) subjects.set(note.id, note);
  }
  return {
    ...now,
    subjects: ids.flatMap((id) => subjects.get(id) ?? []),
    scenarios: SCENARIOS.flatMap(({ name }) => ran.get(name) ?? kept.get(name) ?? []),
  };
}

export async function writeReport(root: string): Promise<void> {
  const docs = join(root, 'docs');
  const text = await readFile(join(docs, 'performance.json'), 'utf8');
  const results = dated(JSON.parse(text) as Results);
  const goals = verdicts(results);
  await writePlots(join(docs, PLOTS), results, goals);
  const path = join(docs, 'performance.md');
  let page = await readFile(path, 'utf8');
  page = filled(page, 'figures', figuresOf(results));
  page = filled(page, 'goals', `${plotOf(GOALS_PLOT, 'Goals')}\n\n${goalsTable(goals)}`);
  const style = (await resolveConfig(path)) ?? {};
  await writeFile(path, await format(page, { ...style, parser: 'markdown' }));
}

function filled(page: string, what: string, content: string): string {
  const head = begin(what);
  const from = page.indexOf(head);
  const to = page.indexOf(END, from);
  if (from < 0 || to < 0) throw new Error(`docs/performance.md has no place for the ${what}`);
  return `${page.slice(0, from)}${head}\n\n${content}\n\n${page.slice(to)}`;
}

const plotOf = (file: string, title: string): string => `![${title}](${PLOTS}/${file})`;

function figuresOf(results: Results): string {
  const { subjects } = results;
  const present = subjects.filter(({ missing }) => missing === undefined);
  const missing = subjects.filter((note) => note.missing !== undefined);
  return [
    ['| subject | what it is |', '| --- | --- |', ...subjects.map(subjectLine)].join('\n'),
    ...(missing.length === 0 ? [] : [`Missing: ${missing.map(({ title }) => title).join(', ')}.`]),
    ...results.scenarios.map((scenario) => sectionOf(scenario, present)),
  ].join('\n\n');
}

function subjectLine({ title, detail, missing }: SubjectNote): string {
  return `| ${title} | ${missing === undefined ? detail : `missing: ${missing}`} |`;
}

function sectionOf(scenario: ScenarioResult, present: readonly SubjectNote[]): string {
  const { name, measured, machine, rows } = scenario;
  return [
    `### ${name}`,
    ...(measured === undefined ? [] : [`Measured ${measured}. ${machine}.`]),
    plotOf(plotName(name), name),
    ...rows.map((row) => rowOf(row, present)),
    ...failuresOf(scenario, present),
  ].join('\n\n');
}

function rowOf(row: RowResult, present: readonly SubjectNote[]): string {
  const lines = present.flatMap(({ id, title }) => {
    const summary = row.figures[id];
    if (summary === undefined) return [];
    const ours = oursFor(id, row);
    const times = ratio(ours?.median, summary.median, row.better);
    return [`| ${title} | ${formatSummary(summary)} | ${times} |`];
  });
  return [
    `**${row.title}** (${row.unit}, ${row.better} is better). ${row.meaning}`,
    ['| subject | median (least–most) | |', '| --- | --- | --- |', ...lines].join('\n'),
  ].join('\n\n');
}

function failuresOf({ rows }: ScenarioResult, present: readonly SubjectNote[]): string[] {
  const failures = Object.entries(rows[0]?.failures ?? {});
  if (failures.length === 0) return [];
  const titleOf = (id: string): string => present.find((note) => note.id === id)?.title ?? id;
  return [`Failed: ${failures.map(([id, reason]) => `${titleOf(id)}: ${reason}`).join('; ')}.`];
}
