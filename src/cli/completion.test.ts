/** What a shell is told may come next. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Command, Option } from 'commander';
import { addCompletionCommands, candidates } from './completion.ts';
import type { CliContext } from './context.ts';
import { sizeText } from './fs-print.ts';

function program(): Command {
  const root = new Command('tool').option('-v, --verbose').option('--level <LEVEL>');
  root.addOption(new Option('--kind <KIND>').choices(['f', 'd']));
  root.option('--routing <ring|node>').option('--nodes <auto|NUMBER>');
  const fs = root.command('fs');
  fs.command('ls').argument('<path>').option('-l, --long').option('--size <SIZE>');
  fs.command('load').option('-R', 'hidden ones have no long name');
  root.command('shell').addArgument(root.createArgument('<which>').choices(['bash', 'zsh']));
  root.command('secret', { hidden: true });
  return root;
}

test('words that may come next are commands, flags and choices, in their place', () => {
  const rows: readonly (readonly [string, readonly string[]])[] = [
    ['', ['fs', 'shell', 'help']],
    ['f', ['fs']],
    ['x', []],
    ['fs ', ['ls', 'load', 'help']],
    ['fs l', ['ls', 'load']],
    ['--verbose fs lo', ['load']],
    ['--level fs ', ['fs', 'shell', 'help']],
    ['--lev', ['--level']],
    ['--level ', []],
    ['--kind ', ['f', 'd']],
    ['--routing n', ['node']],
    ['--nodes ', ['auto']],
    ['fs ls -- ', []],
    ['fs ls -- --', []],
    ['-- f', []],
    ['fs ls ', []],
    ['fs ls --', ['--long', '--size', '--help']],
    ['fs ls /a --s', ['--size']],
    ['shell ', ['bash', 'zsh']],
    ['shell z', ['zsh']],
  ];
  for (const [line, expected] of rows) {
    assert.deepEqual(candidates(program(), line.split(' ')), expected, line);
  }
});

test('what is behind a -- is left to the shell, also through the command itself', () => {
  const words: string[][] = [];
  const root = new Command('tool').exitOverride();
  root
    .command('complete')
    .argument('[words...]')
    .action((given: string[]) => void words.push(given));
  root.parse(['complete', '--', 'fs', 'ls', '--', '-'], { from: 'user' });
  assert.deepEqual(words, [['fs', 'ls', '--', '-']]);
  assert.deepEqual(candidates(program(), words[0] ?? []), []);
});

test('the file for zsh completes the first word, too, where it is loaded by it', async () => {
  const root = new Command('tool');
  const out: string[] = [];
  addCompletionCommands(root, { out: (text: string) => out.push(text) } as unknown as CliContext);
  await root.parseAsync(['completion', 'zsh'], { from: 'user' });
  assert.match(out[0] ?? '', /^#compdef alluxio-fuse\n/);
  // zsh took this for the function itself, and found nothing to complete the first time.
  assert.match(out[0] ?? '', /loadautofunc \]\]; then _alluxio_fuse "\$@"; fi$/);
});

test('sizes for people are short, in the units that options take', () => {
  const rows = { 0: '0B', 999: '999B', 1536: '1.50KB', 10_000_000: '9.54MB' };
  for (const [bytes, text] of Object.entries(rows))
    assert.equal(sizeText(Number(bytes), true), text);
  assert.equal(sizeText(10_000_000, false), '10000000');
});
