/** The program as people start it: the real script, in a process of its own. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';

/** Starting Node takes some 0.1 s; this only keeps a hanging one from hanging the tests. */
const TIMEOUT_MS = 30_000;

const here = dirname(fileURLToPath(import.meta.url));

function repositoryRoot(): string {
  let directory = here;
  while (!existsSync(join(directory, 'package.json'))) directory = dirname(directory);
  return directory;
}

interface Finished {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

function run(program: string, args: readonly string[]): Promise<Finished> {
  return new Promise((resolve, reject) => {
    // A clean environment, so that this machine's own settings do not matter.
    const env = { PATH: process.env['PATH'], HOME: '/nonexistent' };
    execFile(program, args, { timeout: TIMEOUT_MS, env }, (error, out, err) => {
      if (error === null) resolve({ code: 0, out, err });
      else if (typeof error.code === 'number') resolve({ code: error.code, out, err });
      else reject(error);
    });
  });
}

/** The script in a tree like an installed one, over the build that this test belongs to. */
function installed(context: TestContext, options: { readonly isBuilt: boolean }): string {
  const root = mkdtempSync(join(tmpdir(), 'alluxio-fuse-cli-'));
  context.after(() => rmSync(root, { recursive: true, force: true }));
  mkdirSync(join(root, 'bin'));
  copyFileSync(join(repositoryRoot(), 'package.json'), join(root, 'package.json'));
  copyFileSync(join(repositoryRoot(), 'bin/alluxio-fuse'), join(root, 'bin/alluxio-fuse'));
  // This file is at <build>/src/cli.
  if (options.isBuilt) symlinkSync(dirname(dirname(here)), join(root, 'dist'));
  return root;
}

test('the script says so where nothing is built', async (context) => {
  const root = installed(context, { isBuilt: false });
  const { code, err } = await run(join(root, 'bin/alluxio-fuse'), ['--version']);
  assert.equal(code, 1);
  assert.match(err, /not built yet: run bin\/quickstart, or npm ci && npm run build/);
});

test('the script runs the build, also through a link, with the documented exit codes', async (context) => {
  const root = installed(context, { isBuilt: true });
  const link = join(root, 'elsewhere');
  symlinkSync(join(root, 'bin/alluxio-fuse'), link);
  const version = await run(link, ['--version']);
  assert.deepEqual([version.code, version.err], [0, '']);
  assert.match(version.out, /^\d+\.\d+\.\d+\n$/);
  const wrong = await run(link, ['mount', '/m', '--page-size', '5', '--uf', 'x']);
  assert.equal(wrong.code, 2);
  assert.match(wrong.err, /unknown option '--uf'/);
  const config = await run(link, ['mount', '/m', '--page-size', '5']);
  assert.equal(config.code, 2);
  assert.match(config.err, /page-size \(--page-size\): "5" is too small/);
  assert.equal((await run(link, ['mount', '--print-config', '--uid', 'x'])).code, 2);
  const enough = ['--ufs', 'file:///d', '--worker-hosts', 'w'];
  assert.equal((await run(link, ['mount', '--print-config', ...enough])).code, 0);
});

test('a link named like a mount helper takes the arguments of mount(8)', async (context) => {
  const root = installed(context, { isBuilt: true });
  const link = join(root, 'mount.alluxio');
  symlinkSync(join(root, 'bin/alluxio-fuse'), link);
  const { code, err } = await run(link, ['s3://b', '/m', '-n', '-o', 'rw,_netdev,page_size=5']);
  assert.equal(code, 2);
  assert.match(err, /page-size \(-o page_size\): "5"/);
  assert.doesNotMatch(err, /_netdev|ufs:/);
  assert.equal((await run(link, ['s3://b', '/m', '-f', '-o', 'nonsense'])).code, 0);
});
