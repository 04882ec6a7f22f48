/** `alluxio-fuse fs`: files of a cluster without a mount. */
import type { Command } from 'commander';
import type { CliContext } from './context.ts';
import { addChangeCommands } from './fs-change.ts';
import { addReadCommands } from './fs-read.ts';
import type { Finish } from './fs-session.ts';

const HELP = `
Paths are Alluxio paths (/a/b), or URIs below the root of the under store.
Exit codes: 0 ok, 1 failure (test: no), 2 wrong usage or configuration (test: it could not be told),
3 this cluster lacks what it takes, 130 stopped.`;

export function addFsCommands(program: Command, context: CliContext, finish: Finish): void {
  const group = program
    .command('fs')
    .summary('work with the files of a cluster without a mount')
    .description('Work with the files of a cluster without a mount.')
    .addHelpText('after', HELP);
  addReadCommands(group, context, finish);
  addChangeCommands(group, context, finish);
}
