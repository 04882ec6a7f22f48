/** What a shell is told may come next. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Command } from 'commander';
import { candidates } from './completion.ts';
import { sizeText } from './fs-print.ts';

function program(): Command {
  const root = new Command('tool').option('-v, --verbose').option('--level <LEVEL>');
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

test('sizes for people are short, in the units that options take', () => {
  const rows = { 0: '0B', 999: '999B', 1536: '1.50KB', 10_000_000: '9.54MB' };
  for (const [bytes, text] of Object.entries(rows))
    assert.equal(sizeText(Number(bytes), true), text);
  assert.equal(sizeText(10_000_000, false), '10000000');
});
