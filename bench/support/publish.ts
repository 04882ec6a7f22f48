/** docs/performance.json and the generated part of docs/performance.md. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { format, resolveConfig } from 'prettier';
import { formatSummary } from './figures.ts';
import type { Results, RowResult, ScenarioResult, SubjectNote } from './figures.ts';
import { oursFor, ratio } from './table.ts';

const BEGIN = '<!-- begin: made by bench/report.ts from performance.json -->';
const END = '<!-- end -->';

/** Scenarios that did not run stay as they were measured. */
export async function publish(results: Results, root: string): Promise<void> {
  const file = join(root, 'docs', 'performance.json');
  const before = await readFile(file, 'utf8').then(
    (text) => JSON.parse(text) as Results,
    () => undefined,
  );
  const all = before === undefined ? results : joined(before, results);
  await writeFile(file, `${JSON.stringify(all, null, 1)}\n`);
  await writeReport(root);
}

function joined(before: Results, now: Results): Results {
  const ran = new Set(now.scenarios.map(({ name }) => name));
  const kept = before.scenarios.filter(({ name }) => !ran.has(name));
  if (kept.length === 0) return now;
  const whenOf = ({ date, commit, runs }: Results): string => `${date} at ${commit}, ${runs} runs`;
  const subjects = new Map(before.subjects.map((note) => [note.id, note]));
  for (const note of now.subjects) {
    if (note.missing === undefined || !subjects.has(note.id)) subjects.set(note.id, note);
  }
  const added = now.scenarios.map((scenario) => ({ ...scenario, measured: whenOf(now) }));
  return { ...before, subjects: [...subjects.values()], scenarios: [...kept, ...added] };
}

export async function writeReport(root: string): Promise<void> {
  const results = JSON.parse(
    await readFile(join(root, 'docs', 'performance.json'), 'utf8'),
  ) as Results;
  const path = join(root, 'docs', 'performance.md');
  const page = await readFile(path, 'utf8');
  const begin = page.indexOf(BEGIN);
  const end = page.indexOf(END);
  if (begin < 0 || end < begin) throw new Error(`${path} has no place for the figures`);
  const filled = `${page.slice(0, begin)}${BEGIN}\n\n${figuresOf(results)}\n\n${page.slice(end)}`;
  const style = (await resolveConfig(path)) ?? {};
  await writeFile(path, await format(filled, { ...style, parser: 'markdown' }));
}

function figuresOf(results: Results): string {
  const { machine, runs, date, commit, subjects } = results;
  const present = subjects.filter(({ missing }) => missing === undefined);
  const missing = subjects.filter((note) => note.missing !== undefined);
  return [
    `Measured ${date} at ${commit}, ${runs} runs. ${Object.values(machine).join(', ')}.`,
    ['| subject | what it is |', '| --- | --- |', ...subjects.map(subjectLine)].join('\n'),
    ...(missing.length === 0 ? [] : [`Missing: ${missing.map(({ title }) => title).join(', ')}.`]),
    ...results.scenarios.map((scenario) => sectionOf(scenario, present)),
  ].join('\n\n');
}

function subjectLine({ title, detail, missing }: SubjectNote): string {
  return `| ${title} | ${missing === undefined ? detail : `missing: ${missing}`} |`;
}

function sectionOf(scenario: ScenarioResult, present: readonly SubjectNote[]): string {
  const { name, measured, rows } = scenario;
  const when = measured === undefined ? [] : [`Measured ${measured}.`];
  return [`### ${name}`, ...when, ...rows.map((row) => rowOf(row, present))].join('\n\n');
}

function rowOf(row: RowResult, present: readonly SubjectNote[]): string {
  const lines = present.flatMap(({ id, title }) => {
    const summary = row.figures[id];
    if (summary === undefined) return [];
    const ours = oursFor(id, row);
    const times = ratio(ours?.median, summary.median, row.better);
    return [`| ${title} | ${formatSummary(summary)} | ${times} |`];
  });
  const failures = Object.entries(row.failures).map(([id, reason]) => `${id}: ${reason}`);
  return [
    `**${row.title}** (${row.unit}, ${row.better} is better). ${row.meaning}`,
    ['| subject | median (least–most) | |', '| --- | --- | --- |', ...lines].join('\n'),
    ...(failures.length === 0 ? [] : [`Failed: ${failures.join('; ')}`]),
  ].join('\n\n');
}
