/** Where the repository is, from compiled and uncompiled tests alike. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export function repositoryRoot(): string {
  let dir = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(dir, 'package.json'))) {
    const parent = dirname(dir);
    if (parent === dir) throw new Error('No package.json above the tests');
    dir = parent;
  }
  return dir;
}

/** The script that runs parts of a real Alluxio, a test partner outside of the repository. */
export function realAlluxioScript(): string {
  return join(repositoryRoot(), '..', 'shared', 'alluxio', 'alluxio');
}
