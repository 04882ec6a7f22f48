/** What a test needs and the machine may lack. A test says so by name and is counted as skipped. */
import { accessSync, constants, existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { hasEtcd } from '../../src/devcluster/index.ts';
import { realAlluxioScript } from './repository.ts';

export type Need = 'etcd' | 'java' | 'real-alluxio' | 'fuse' | 'root';

/** To be given as the `skip` option of a test: the reason, or false. */
export function skipReason(...needs: readonly Need[]): string | false {
  const missing = needs.filter((need) => !HAS[need]()).map((need) => REASONS[need]);
  return missing.length === 0 ? false : missing.join('; ');
}

const HAS: Readonly<Record<Need, () => boolean>> = {
  etcd: hasEtcd,
  java: () => isOnPath('java'),
  'real-alluxio': () => existsSync(realAlluxioScript()) && isOnPath('java') && hasEtcd(),
  fuse: () => isWritable('/dev/fuse'),
  root: () => process.getuid?.() === 0,
};

const REASONS: Readonly<Record<Need, string>> = {
  etcd: 'etcd is not installed (apt-get install etcd-server)',
  java: 'Java 17 is not installed',
  'real-alluxio': 'a real Alluxio (../shared/alluxio), Java 17 or etcd is missing',
  fuse: '/dev/fuse cannot be opened',
  root: 'not running as root',
};

function isOnPath(program: string): boolean {
  return (process.env['PATH'] ?? '').split(delimiter).some((dir) => existsSync(join(dir, program)));
}

function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.R_OK | constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
