/** The command line, from the commands in `commands/`. */
import { Command, CommanderError } from 'commander';
import { addCacheCommands, addWarmupCommand } from './commands/cache.ts';
import { addDevclusterCommand } from './commands/devcluster.ts';
import { addMountCommand } from './commands/mount.ts';
import { addStatusCommand } from './commands/status.ts';
import { addUmountCommand } from './commands/umount.ts';
import { asksForJson, complain } from './complaints.ts';
import { addCompletionCommands } from './completion.ts';
import { addFsCommands } from './fs.ts';
import { addInfoCommands } from './info.ts';
import { addJobCommands } from './job.ts';
import { EXIT_CODES, UsageError } from './context.ts';
import type { CliContext, ExitCode } from './context.ts';

const EXAMPLES = `
Examples:
  alluxio-fuse devcluster --data /some/dir
  alluxio-fuse mount /mnt/alluxio --etcd-hosts etcd1,etcd2 --ufs s3://bucket/data
  alluxio-fuse status
  alluxio-fuse umount /mnt/alluxio
  alluxio-fuse fs ls -l /data

Exit codes: 0 ok, 1 failure, 2 wrong usage or configuration; of fs, info and job: fs --help.`;

function buildProgram(
  context: CliContext,
  finish: (code: ExitCode) => void,
  isJson: boolean,
): Command {
  const program = new Command('alluxio-fuse')
    .description('Mounts an Alluxio cluster as a directory.')
    .version(context.version, '-V, --version')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => context.out(text.replace(/\n$/, '')),
      writeErr(text) {
        if (!isJson) context.err(text.replace(/\n$/, ''));
      },
    })
    .showHelpAfterError('(--help shows what is allowed)')
    .addHelpText('after', EXAMPLES);
  addMountCommand(program, context, finish);
  addUmountCommand(program, context, finish);
  addStatusCommand(program, context, finish);
  addCacheCommands(program, context, finish);
  addWarmupCommand(program, context, finish);
  addFsCommands(program, context, finish);
  addInfoCommands(program, context, finish);
  addJobCommands(program, context, finish);
  addDevclusterCommand(program, context, finish);
  addCompletionCommands(program, context);
  return program;
}

/** Never throws: the exit code says it all, and the reason has been printed. */
export async function runCli(args: readonly string[], context: CliContext): Promise<ExitCode> {
  let exitCode: ExitCode = EXIT_CODES.ok;
  const isJson = asksForJson(args);
  const finish = (code: ExitCode): void => {
    exitCode = code;
  };
  const program = buildProgram(context, finish, isJson);
  try {
    await program.parseAsync(args, { from: 'user' });
    return exitCode;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    // The parser has printed its own message, to people. It calls help and version errors, with code 0.
    if (error instanceof CommanderError) {
      if (error.exitCode === 0) return EXIT_CODES.ok;
      const complaint = { code: 'usage', reason: reason.replace(/^error: /, '') };
      if (isJson) complain(context, isJson, complaint);
      return EXIT_CODES.usage;
    }
    const isUsage = error instanceof UsageError;
    complain(context, isJson, { code: isUsage ? 'usage' : undefined, reason });
    return isUsage ? EXIT_CODES.usage : EXIT_CODES.failure;
  }
}
