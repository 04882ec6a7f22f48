import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { once } from 'node:events';
import { cacheCommand, mountFinder } from './cache-command.ts';
import { adminSocketPath, writeState } from './state-dir.ts';

/** As of a mount that is supervised by this process. */
function leaveState(stateDir: string, mountpoint: string): void {
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

test('a path is found in its mount by its name and through links, from states read once', (context) => {
  const root = mkdtempSync(join(tmpdir(), 'mount-finder-'));
  context.after(() => rmSync(root, { recursive: true, force: true }));
  const stateDir = join(root, 'state');
  const [outer, inner] = [join(root, 'mnt'), join(root, 'mnt', 'inner')];
  mkdirSync(join(inner, 'deep'), { recursive: true });
  writeFileSync(join(outer, 'file'), '');
  for (const mountpoint of [outer, inner]) leaveState(stateDir, mountpoint);
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

test('a daemon that dies or is being replaced is told as that', async (context) => {
  const stateDir = mkdtempSync(join(tmpdir(), 'no-daemon-'));
  context.after(() => rmSync(stateDir, { recursive: true, force: true }));
  const target = '/not/mounted';
  leaveState(stateDir, target);
  const asked = (): Promise<void> =>
    cacheCommand(
      { verb: 'warm', target, paths: [target] },
      { stateDir, onLine: () => undefined, signal: new AbortController().signal },
    );
  await assert.rejects(asked, /cannot be asked now \(ENOENT\); once `status` shows it serving/);
  const head = 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n';
  const server = createServer((socket) => socket.once('data', () => socket.end(head)));
  server.listen(adminSocketPath(stateDir, target));
  await once(server, 'listening');
  context.after(() => server.close());
  await assert.rejects(asked, /The daemon of the mount ended before this was done/);
});
