/**
 * Stands between a devcluster and its etcd: when the devcluster's process ends, however it ends,
 * the IPC channel closes, and the guard kills etcd and removes its data. etcd itself is tied to
 * the guard with a parent-death signal where `setpriv` is there, so that it cannot outlive that either.
 */
import { spawn } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';

const [dataDir = '', ...etcdArguments] = process.argv.slice(2);
const SETPRIV = '/usr/bin/setpriv';
const command = existsSync(SETPRIV)
  ? [SETPRIV, '--pdeathsig', 'KILL', 'etcd', ...etcdArguments]
  : ['etcd', ...etcdArguments];
const etcd = spawn(command[0] ?? 'etcd', command.slice(1), { stdio: ['ignore', 2, 2] });

let isEnding = false;
/** Data is kept when the parent only wants etcd down for a while. */
function end(options: { keepData: boolean }): void {
  if (isEnding) return;
  isEnding = true;
  const finish = (): void => {
    if (!options.keepData) rmSync(dataDir, { recursive: true, force: true });
    process.exit(0);
  };
  if (etcd.exitCode !== null || etcd.signalCode !== null || etcd.pid === undefined) finish();
  etcd.once('exit', finish);
  etcd.kill('SIGKILL');
}

etcd.on('error', (error) => {
  process.stderr.write(`${error.message}\n`);
  process.exit(1);
});
etcd.on('exit', (code) => {
  if (!isEnding) process.exit(code ?? 1);
});
process.on('disconnect', () => end({ keepData: false }));
process.on('SIGTERM', () => end({ keepData: true }));
process.on('SIGINT', () => undefined);
