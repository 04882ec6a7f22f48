/** docs/operations.md: what every operation does on every backend, as the suite found it. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { repositoryRoot } from '../support/repository.ts';

const FILE = join(repositoryRoot(), 'docs', 'operations.md');

export const BACKENDS = [
  'devcluster oss',
  'devcluster oss, file',
  'devcluster oss, s3',
  'devcluster enterprise',
  'real Alluxio',
  'real Alluxio, file',
] as const;
export type Backend = (typeof BACKENDS)[number];

/** Operation to backend to what came of it. */
export type Table = Map<string, Map<Backend, string>>;

const HEAD = `# Operations

What each operation of the library does on each kind of cluster. The table is written by
\`test/client/operations.test.ts\`, which runs all of it, and fails where it finds something else.
\`file\`, \`s3\`: the under store is a directory or a bucket (of versitygw) that this machine reaches as well;
without it, everything goes through the workers. Of a bucket, names with a question mark or a backslash are
read and written, but do not show in listings. Names and reasons are those of \`AlluxioError\`. The devcluster behaves like
the real thing as far as that could be seen; there is no Enterprise worker to compare with.
The real Alluxio is open source 313, three workers and a master.
`;

const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('\n', ' ');

export function readTable(): Table {
  const table: Table = new Map();
  if (!existsSync(FILE)) return table;
  const rows = readFileSync(FILE, 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .map((line) =>
      line
        .slice(1, -1)
        .split(/(?<!\\)\|/)
        .map((text) => text.trim().replaceAll('\\|', '|')),
    );
  const notes = new Map<string, string>();
  for (const match of readFileSync(FILE, 'utf8').matchAll(/^(\d+)\. (.*)$/gm)) {
    notes.set(match[1] ?? '', match[2] ?? '');
  }
  const [head = [], , ...body] = rows;
  for (const [operation = '', ...cells] of body) {
    const row = new Map<Backend, string>();
    cells.forEach((text, i) => {
      const backend = BACKENDS.find((name) => name === head[i + 1]);
      const found = /^note (\d+)$/.exec(text);
      const meaning = found === null ? text : (notes.get(found[1] ?? '') ?? text);
      if (backend !== undefined && meaning !== '') row.set(backend, meaning);
    });
    table.set(operation, row);
  }
  return table;
}

/** Texts longer than a word become notes below the table. */
export function writeTable(table: Table): void {
  const notes: string[] = [];
  const short = (text: string): string => {
    if (text === 'works' || text === '') return text;
    if (!notes.includes(text)) notes.push(text);
    return `note ${notes.indexOf(text) + 1}`;
  };
  const rows = [...table].map(([operation, row]) => [
    operation,
    ...BACKENDS.map((backend) => short(cell(row.get(backend) ?? ''))),
  ]);
  const all = [['operation', ...BACKENDS], ...rows];
  const widths = ['operation', ...BACKENDS].map((_, i) =>
    Math.max(...all.map((row) => (row[i] ?? '').length)),
  );
  const line = (row: readonly string[]): string =>
    `| ${row.map((text, i) => text.padEnd(widths[i] ?? 0)).join(' | ')} |`;
  const rule = line(widths.map((width) => '-'.repeat(width)));
  const lines = [line(['operation', ...BACKENDS]), rule, ...rows.map(line)];
  const list = notes.map((note, i) => `${i + 1}. ${note}`);
  writeFileSync(FILE, `${HEAD}\n${lines.join('\n')}\n\nNotes\n\n${list.join('\n')}\n`);
}
