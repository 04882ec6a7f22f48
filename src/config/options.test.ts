import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { defaultText, optionsMarkdown } from './markdown.ts';
import { isIgnoredMountOption, isKernelFlag } from './mount-flags.ts';
import { environmentName, mountOptionNames, optionList } from './options.ts';

function repositoryRoot(): string {
  let directory = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(directory, 'package.json'))) directory = dirname(directory);
  return directory;
}

test('names of options do not collide in any source', () => {
  const lists = [
    optionList.map(({ row }) => row.key),
    optionList.map(({ row }) => environmentName(row)),
    optionList.flatMap(({ row }) => [
      ...mountOptionNames(row),
      ...(row.negativeMountOptions ?? []),
    ]),
    optionList.flatMap(({ row }) => row.properties ?? []),
  ];
  for (const names of lists) assert.deepEqual(names, [...new Set(names)]);
  for (const name of lists[2] ?? []) {
    assert.ok(!isIgnoredMountOption(name) && !isKernelFlag(name), name);
  }
});

test('every row has a doc sentence, and a text for a default that depends on the machine', () => {
  const somebody = { uid: 7, gid: 8, env: { XDG_RUNTIME_DIR: '/run/user/7' } };
  for (const { row } of optionList) {
    assert.match(row.doc, /^[A-Z].*\.$/, row.key);
    assert.notEqual(row.kind.allowed, '', row.key);
    const root = row.fallback({ uid: 0, gid: 0, env: {} });
    const other = row.fallback(somebody);
    if (
      root === undefined ||
      other === undefined ||
      row.kind.format(root) !== row.kind.format(other)
    ) {
      assert.notEqual(row.defaultText, undefined, row.key);
    }
  }
});

test('every default is a value that its own option accepts', () => {
  for (const { row } of optionList) {
    const value = row.fallback({ uid: 0, gid: 0, env: {} });
    if (value === undefined) continue;
    const text = row.kind.format(value);
    assert.deepEqual(row.kind.parse(text, { bareDurationUnit: 's' }), value, row.key);
  }
});

test('docs/options.md is what the table says (npm run docs:options)', () => {
  const text = readFileSync(join(repositoryRoot(), 'docs/options.md'), 'utf8');
  assert.equal(text, optionsMarkdown());
  for (const option of optionList) {
    assert.ok(text.includes(`### ${option.row.key}\n\n${option.row.doc}\n`), option.row.key);
    assert.ok(text.includes(defaultText(option)), option.row.key);
  }
});
