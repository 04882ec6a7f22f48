/** The plots of docs/performance.md: one for each scenario, and one of the goals. */
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { formatFigure } from './figures.ts';
import type { Results, RowResult, ScenarioResult, SubjectNote } from './figures.ts';
import type { Verdict } from './goals.ts';
import { drawing } from './svg.ts';
import type { Panel } from './svg.ts';

const OURS = '#c2410c';
const OTHERS = '#475569';
const MET = '#15803d';
const NOT_MET = '#b91c1c';
/** Not mounts to be compared with, but what bounds them. */
const LIMITS = /^(?:local|libfuse|program|curl-|load)/;

const NOTE =
  'Median and, as a line, least to most. Filled: mounts, ours in colour; hollow: local files, HTTP clients, the C baseline.';
const GOALS_NOTE =
  'Right of the line: met. Logarithmic; what is 100 times better, or more, is at the edge.';

export const plotName = (scenario: string): string => `${scenario}.svg`;
export const GOALS_PLOT = 'goals.svg';

export async function writePlots(
  directory: string,
  results: Results,
  goals: readonly Verdict[],
): Promise<void> {
  await mkdir(directory, { recursive: true });
  const plots = new Map(
    results.scenarios.map((scenario) => [
      plotName(scenario.name),
      scenarioPlot(scenario, results.subjects),
    ]),
  );
  plots.set(GOALS_PLOT, goalsPlot(goals));
  for (const name of await readdir(directory))
    if (!plots.has(name)) await rm(join(directory, name));
  for (const [name, svg] of plots) await writeFile(join(directory, name), svg);
}

function scenarioPlot({ rows }: ScenarioResult, subjects: readonly SubjectNote[]): string {
  const panels = rows
    .filter(({ figures }) => Object.keys(figures).length > 0)
    .map((row) => panelOf(row, subjects));
  return drawing(panels, { columns: 2, labelWidth: 160, plotWidth: 230, textWidth: 80 }, NOTE);
}

function panelOf(row: RowResult, subjects: readonly SubjectNote[]): Panel {
  const dots = subjects.flatMap(({ id, title }) => {
    const summary = row.figures[id];
    if (summary === undefined) return [];
    const { median, min, max } = summary;
    return [
      {
        label: title,
        value: median,
        min,
        max,
        text: formatFigure(median),
        colour: /^ours|^program/.test(id) ? OURS : OTHERS,
        isHollow: LIMITS.test(id),
      },
    ];
  });
  return { title: row.title, subtitle: `${row.unit}, ${row.better} is better`, dots };
}

function goalsPlot(goals: readonly Verdict[]): string {
  const dots = goals.flatMap(({ work, who, than, goal, reached }) => {
    if (reached === undefined) return [];
    const isMet = reached.ofGoal >= 1;
    const value = reached.ofGoal;
    return [
      {
        label: `${work}: ${who}${than === '' ? '' : ` / ${than}`}`,
        value,
        min: value,
        max: value,
        text: `${reached.text.replace(/ \(.*/, '')}  (goal ${goal})`,
        colour: isMet ? MET : NOT_MET,
        isHollow: !isMet,
      },
    ];
  });
  const panel = {
    title: 'Reached / goal',
    subtitle: '1 is the goal, more is better',
    dots,
    mark: 1,
  };
  return drawing(
    [panel],
    { columns: 1, labelWidth: 420, plotWidth: 300, textWidth: 220 },
    GOALS_NOTE,
  );
}
