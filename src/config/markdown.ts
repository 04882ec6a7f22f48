/** docs/options.md, from the table. */
import { defaultMountFlags, ignoredMountOptions, kernelMountFlags } from './mount-flags.ts';
import {
  environmentName,
  isBooleanOption,
  isFlagOnCommandLine,
  mountOptionNames,
  OPTION_GROUPS,
  optionList,
} from './options.ts';
import type { AnyOption, DefaultContext } from './options.ts';

/** Defaults that depend on it have a `defaultText`; a test holds the table to that. */
const anyContext: DefaultContext = { uid: 0, gid: 0, env: {} };

export function defaultText({ row }: AnyOption): string {
  if (row.defaultText !== undefined) return row.defaultText;
  const value = row.fallback(anyContext);
  return value === undefined ? 'none' : row.kind.format(value);
}

const code = (text: string): string => `\`${text}\``;

function names(option: AnyOption): string {
  const { field, row } = option;
  const lines: string[] = [];
  if (isFlagOnCommandLine(row)) {
    const flag = `--${row.key}`;
    const negative = isBooleanOption(row) ? `, ${code(`--no-${row.key}`)}` : '';
    const value = row.kind.placeholder === '' ? '' : ` ${row.kind.placeholder}`;
    lines.push(`flag ${code(`${flag}${value}`)}${negative}`);
    const negatives = row.negativeMountOptions?.map(code).join(', ');
    const off = negatives === undefined ? '' : `; false: ${negatives}`;
    lines.push(`\`-o\` ${mountOptionNames(row).map(code).join(', ')}${off}`);
  }
  lines.push(`environment ${code(environmentName(row))}`);
  if (field !== 'config') lines.push(`YAML ${code(row.key)}`);
  for (const property of row.properties ?? []) lines.push(`property ${code(property)}`);
  return lines.map((line) => `- ${line}`).join('\n');
}

function section(option: AnyOption): string {
  const { row } = option;
  const text = defaultText(option);
  const shownDefault = row.defaultText === undefined ? code(text) : text;
  return `### ${row.key}

${row.doc}

Default: ${shownDefault}. Allowed: ${row.kind.allowed}.

${names(option)}
`;
}

const INTRODUCTION = `# Options of \`alluxio-fuse mount\`

This file is made from the table in \`src/config/options.ts\` by \`npm run docs:options\`.

Where an option is given more than once, the strongest source counts:
flag, \`-o\`, \`--property\`, environment, YAML file (\`--config\`), \`alluxio-site.properties\`, default.
\`alluxio-fuse mount --print-config\` shows every value and where it came from.

- Sizes are binary, as in Alluxio: \`1MB\`, \`1M\` and \`1MiB\` are 1048576 bytes.
- Durations are \`500ms\`, \`60s\`, \`5min\`, \`1h\`, \`2d\`. A bare number is seconds; in Alluxio properties it is
  milliseconds, as Alluxio reads it.
- Lists are parted by commas; inside \`-o\` by semicolons, or by commas written \`\\,\`.
- A name that is not known is an error in flags, \`-o\`, \`--property\` and the YAML file. Properties that are not
  named here are left to Alluxio in \`alluxio-site.properties\`, which is its file, and in the environment
  only near misses are warned about.
- An empty environment variable, an empty property and a YAML key without a value count as not set.
- Alluxio's properties are also accepted as \`--property NAME=VALUE\` and as \`-o NAME=VALUE\`.
- A wrong value ends the program with exit code 2 and a line for each problem: which option, from where, what
  was given, what is allowed.
`;

const COMMAND_LINE = `## Only on the command line

- \`-f\`, \`--foreground\`: stay until the mount is unmounted.
- \`-o OPTIONS\`: options as in fstab, may be repeated.
- \`--property NAME=VALUE\`: a property of Alluxio, may be repeated.
- \`--print-config\`, and with it \`--json\`: show every value and where it came from, and do not mount.

Of two arguments, the first is the under store (a URI, as \`--ufs\`) or a name for df (as \`--fsname\`).
`;

export function optionsMarkdown(): string {
  const groups = OPTION_GROUPS.map((group) => {
    const members = optionList.filter(({ row }) => row.group === group).map(section);
    return `## ${group}\n\n${members.join('\n')}`;
  });
  const list = (words: readonly string[]): string => words.map(code).join(', ');
  const words = `## Other words in fstab and \`-o\`

- Passed to the kernel: ${list(kernelMountFlags)}. Without any, the mount has ${list(defaultMountFlags)}.
- Accepted and ignored, because mount(8), systemd or libfuse act on them or because they make no difference
  here: ${list(ignoredMountOptions)}.
`;
  return [INTRODUCTION, COMMAND_LINE, ...groups, words].join('\n');
}
