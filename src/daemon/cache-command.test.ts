import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { mountFinder } from './cache-command.ts';
import { writeState } from './state-dir.ts';

test('a path is found in its mount by its name and through links, from states read once', (context) => {
  const root = mkdtempSync(join(tmpdir(), 'mount-finder-'));
  context.after(() => rmSync(root, { recursive: true, force: true }));
  const stateDir = join(root, 'state');
  const [outer, inner] = [join(root, 'mnt'), join(root, 'mnt', 'inner')];
  mkdirSync(join(inner, 'deep'), { recursive: true });
  writeFileSync(join(outer, 'file'), '');
  for (const mountpoint of [outer, inner]) {
    writeState(stateDir, {
      mountpoint,
      supervisorPid: process.pid,
      daemonPid: undefined,
      driver: 'device',
      startedAtMs: 0,
      restarts: 0,
      state: 'serving',
      readAheadKb: undefined,
      isWritable: false,
      journalDirectory: '',
    });
  }
  symlinkSync(join(inner, 'deep'), join(root, 'to-directory'));
  symlinkSync(join(outer, 'file'), join(root, 'to-file'));
  symlinkSync(outer, join(root, 'to-mount'));
  const find = mountFinder({ stateDir });
  rmSync(stateDir, { recursive: true });
  const expected: Record<string, [string, string] | undefined> = {
    mnt: [outer, ''],
    'mnt/not/there': [outer, 'not/there'],
    'mnt/inner/x': [inner, 'x'],
    'mntx/y': undefined,
    'to-directory/x': [inner, 'deep/x'],
    'to-file': [outer, 'file'],
    'to-mount': [outer, ''],
    'to-mount/not/there': [outer, 'not/there'],
  };
  for (const [path, found] of Object.entries(expected)) {
    assert.deepEqual(
      find(join(root, path)),
      found === undefined ? undefined : { mountpoint: found[0], path: join(...found) },
      path,
    );
  }
});
