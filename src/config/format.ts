/** `--print-config`: every option, its value and where the value came from. */
import type { ConfigInspection } from './resolve.ts';
import { formatProblem } from './config-error.ts';

/** Columns as wide as their widest cell; the last one is not padded. */
export function alignColumns(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [column, cell] of row.entries()) {
      widths[column] = Math.max(widths[column] ?? 0, cell.length);
    }
  }
  return rows
    .map((row) =>
      row
        .map((cell, column) =>
          column === row.length - 1 ? cell : cell.padEnd(widths[column] ?? 0),
        )
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

export function formatConfig(inspection: ConfigInspection, style: 'table' | 'json'): string {
  const { config, entries, mountFlags, problems, warnings } = inspection;
  if (style === 'json') {
    return JSON.stringify(
      {
        mountpoint: config?.mountpoint,
        membershipSource: config?.membershipSource,
        mountFlags,
        options: Object.fromEntries(entries.map(({ key, ...entry }) => [key, entry])),
        warnings,
        problems: problems.map(formatProblem),
      },
      undefined,
      2,
    );
  }
  const rows = entries.map(({ key, value, isRefused, where }) => [
    key,
    isRefused === true ? 'refused' : (value ?? '-'),
    where,
  ]);
  return alignColumns([
    ['OPTION', 'VALUE', 'FROM'],
    ...rows,
    ['mount flags', mountFlags.join(','), 'default and -o'],
  ]);
}
