/** A scenario as a table for the terminal. */
import { formatSummary } from './figures.ts';
import type { RowResult, ScenarioResult, SubjectNote, Summary } from './figures.ts';

export function tableOf(result: ScenarioResult, notes: readonly SubjectNote[]): string {
  const present = notes.filter(({ missing }) => missing === undefined);
  // One line a subject: rows with medians and spreads of nine subjects would not fit side by side.
  const lines = result.rows.flatMap((row) => [
    `  ${row.title} (${row.unit}, ${row.better} is better)`,
    ...present
      .filter(({ id }) => row.figures[id] !== undefined)
      .map(({ id, title }) => {
        const summary = row.figures[id];
        const ours = oursFor(id, row);
        if (summary === undefined) return '';
        return `    ${title.padEnd(22)} ${formatSummary(summary).padEnd(30)}${ratio(ours?.median, summary.median, row.better)}`;
      }),
  ]);
  const failures = Object.entries(result.rows[0]?.failures ?? {}).map(
    ([id, reason]) => `  ${id} failed: ${reason}`,
  );
  return `\n${result.name}\n${[...lines, ...failures].join('\n')}\n`;
}

/** Ours over the same worker; programs that copy compare with our commands, on whatever worker. */
export function oursFor(id: string, { figures }: RowResult): Summary | undefined {
  const mount = figures[id.endsWith('-dev') ? 'ours-dev' : 'ours'];
  return mount ?? figures['ours-copy'] ?? figures['ours-copy-dev'];
}

/** How many times as good as this subject ours is. */
export function ratio(
  ours: number | undefined,
  theirs: number,
  better: 'higher' | 'lower',
): string {
  if (ours === undefined || ours === theirs || theirs === 0 || ours === 0) return '';
  const times = better === 'higher' ? ours / theirs : theirs / ours;
  return `ours ${Number(times.toPrecision(2))} ×`;
}
