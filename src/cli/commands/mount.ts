import { Option } from 'commander';
import type { Command } from 'commander';
import {
  ConfigError,
  defaultText,
  describeMounts,
  formatConfig,
  formatProblem,
  inspectConfig,
  isBooleanOption,
  isFlagOnCommandLine,
  optionList,
} from '../../config/index.ts';
import type { ConfigInputs, ConfigProblem, OptionField } from '../../config/index.ts';
import { EXIT_CODES, UsageError } from '../context.ts';
import type { CliContext, ExitCode } from '../context.ts';
import { collect, joinLists } from '../repeated.ts';

const EXAMPLES = `
Examples:
  alluxio-fuse mount /mnt/alluxio --etcd-hosts etcd1,etcd2 --ufs s3://bucket/data
  alluxio-fuse mount s3://bucket/data /mnt/alluxio -o etcd_hosts=etcd1,page_size=4MB
  alluxio-fuse mount /mnt/alluxio --worker-hosts w1,w2 --ufs file:///data --foreground
  alluxio-fuse mount /mnt/alluxio --config /etc/alluxio-fuse.yaml --print-config

In fstab, with a link /sbin/mount.alluxio to this program:
  s3://bucket/data /mnt/alluxio alluxio etcd_hosts=etcd1,_netdev 0 0

All options, with their names in every source: docs/options.md
Exit codes: 0 ok, 1 could not mount, 2 wrong usage or configuration.`;

interface MountFlags {
  readonly foreground?: boolean;
  readonly printConfig?: boolean;
  readonly json?: boolean;
  readonly o?: readonly string[];
  readonly property?: readonly string[];
  readonly [attribute: string]: unknown;
}

export function addMountCommand(
  program: Command,
  context: CliContext,
  finish: (code: ExitCode) => void,
): void {
  const command = program
    .command('mount')
    .summary('mount a cluster')
    .description('Mount a cluster at MOUNTPOINT; returns once the mount answers.')
    .usage('[SOURCE] MOUNTPOINT [options]')
    .argument('[paths...]', 'MOUNTPOINT, or SOURCE (URI of the under store, or a name) MOUNTPOINT')
    .option('-f, --foreground', 'stay until the mount is unmounted')
    .option('-o <OPTIONS>', 'options as in fstab: name=value,name,…', collect)
    .option('--property <NAME=VALUE>', 'an Alluxio property; may be repeated', collect)
    .option('--print-config', 'show every value and where it came from, and do not mount')
    .option('--json', 'with --print-config: as JSON')
    .addHelpText('after', EXAMPLES);

  const attributes = new Map<string, OptionField>();
  for (const option of optionList) {
    const { field, row } = option;
    if (!isFlagOnCommandLine(row)) {
      // Only to be refused with what to do instead; as an unknown flag it would be repeated.
      const refused = new Option(`--${row.key} [${row.kind.placeholder}]`).hideHelp();
      command.addOption(refused);
      attributes.set(refused.attributeName(), field);
      continue;
    }
    const description = `${row.doc} (default: ${defaultText(option)})`;
    const isBoolean = isBooleanOption(row);
    const value = isBoolean ? '' : ` <${row.kind.placeholder}>`;
    const flag = new Option(`--${row.key}${value}`, description).helpGroup(`${row.group}:`);
    if (row.isRepeatable === true) flag.argParser(joinLists);
    command.addOption(flag);
    if (isBoolean) command.addOption(new Option(`--no-${row.key}`).hideHelp());
    attributes.set(flag.attributeName(), field);
  }

  command.action(async (paths: readonly string[], given: MountFlags) => {
    const flags: Partial<Record<OptionField, string>> = {};
    for (const [attribute, field] of attributes) {
      if (command.getOptionValueSource(attribute) === 'cli')
        flags[field] = String(given[attribute]);
    }
    finish(await mount(paths, given, flags, context));
  });
}

async function mount(
  paths: readonly string[],
  given: MountFlags,
  flags: Readonly<Partial<Record<OptionField, string>>>,
  context: CliContext,
): Promise<ExitCode> {
  if (paths.length > 2) throw new UsageError(`Too many arguments: "${paths.slice(2).join(' ')}"`);
  const mountpoint = paths.at(-1);
  const printConfig = given.printConfig === true;
  if (mountpoint === undefined && !printConfig) throw new UsageError('Missing MOUNTPOINT');
  if (mountpoint === '') throw new UsageError('MOUNTPOINT is empty');
  const { env, cwd, uid, gid, readText } = context;
  const inputs: ConfigInputs = {
    mountpoint,
    source: paths.length === 2 ? paths[0] : undefined,
    flags,
    mountOptions: given.o ?? [],
    properties: given.property ?? [],
    env,
    cwd,
    uid,
    gid,
    readText,
  };
  const inspection = inspectConfig(inputs);
  if (printConfig) {
    context.out(formatConfig(inspection, given.json === true ? 'json' : 'table'));
  }
  for (const warning of inspection.warnings) context.err(`alluxio-fuse: warning: ${warning}`);
  if (inspection.problems.length > 0) {
    const exitCode = reportProblems(inspection.problems, context);
    // What was given is shown, and what a mount would need besides is said; only a bad value is wrong.
    return printConfig && inspection.problems.every(isMissing) ? EXIT_CODES.ok : exitCode;
  }
  if (printConfig) return EXIT_CODES.ok;
  const { config } = inspection;
  if (config === undefined) throw new ConfigError(inspection.problems);

  const daemon = await context.loadDaemon();
  const foreground = given.foreground === true;
  const outcome = await daemon.mountDaemon(config, { foreground });
  if (!outcome.ok) {
    context.err(`alluxio-fuse: could not mount ${config.mountpoint}: ${outcome.reason}`);
    return EXIT_CODES.failure;
  }
  for (const warning of outcome.warnings) context.err(`alluxio-fuse: warning: ${warning}`);
  if (!foreground) {
    const details = `driver ${outcome.driver}, pid ${outcome.pid}`;
    context.out(`Mounted ${describeMounts(config.mounts)} at ${config.mountpoint} (${details})`);
  }
  return EXIT_CODES.ok;
}

/** Nothing was given: no value is wrong. */
function isMissing({ value, where }: ConfigProblem): boolean {
  return value === undefined && where === '';
}

function reportProblems(problems: readonly ConfigProblem[], context: CliContext): ExitCode {
  for (const problem of problems) context.err(`alluxio-fuse: ${formatProblem(problem)}`);
  return EXIT_CODES.usage;
}
