/**
 * Goal: unmodified programs that read a whole tree through the mount see exactly the source.
 * Method: the tree is made in the under store, and each program's verdict over the mount is compared
 * with its verdict over the source.
 */
import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { makeBigTree, MARKER } from '../support/big-tree.ts';
import type { BigTreeSpec } from '../support/big-tree.ts';
import { skipCluster, startCluster } from '../support/clusters.ts';
import type { ClusterKind, TestCluster } from '../support/clusters.ts';
import { lastFirst } from '../support/last-first.ts';
import { missingPrograms, mountForTest } from '../support/mount.ts';
import type { TestMount } from '../support/mount.ts';
import { repositoryRoot } from '../support/repository.ts';
import { output, run, shell } from '../support/run.ts';
import { makeTempDir } from '../support/temp-dir.ts';

/** A first pass over 20,000 files on workers that make 460 a second, on a machine that is busy. */
const PASS_MS = 400_000;

export interface TreeOptions {
  readonly pageSizeBytes: number;
  readonly spec: BigTreeSpec;
  readonly label: string;
  /** All but the first pass is served from a cache directory, by a mount that finds it there. */
  readonly isFromDisk?: boolean;
  /** `--immutable`: opens that the kernel answers, and names and pages that it keeps. */
  readonly isImmutable?: boolean;
}

export function treeSuite(kind: ClusterKind, options: TreeOptions): void {
  const { pageSizeBytes, spec, label, isFromDisk = false, isImmutable = false } = options;
  const ways = `${isFromDisk ? ', from disk' : ''}${isImmutable ? ', immutable' : ''}`;
  suite(
    `${kind}, pages of ${pageSizeBytes >> 20} MiB, ${label}${ways}`,
    { skip: skipCluster(kind, { pageSizeBytes }) },
    () => {
      let cluster: TestCluster;
      let mount: TestMount;
      let source = '';
      let mounted = '';
      let work = '';
      let coldMisses = 0;

      const cleanup = lastFirst((undo) => after(undo));

      before(
        async () => {
          cluster = await startCluster(cleanup, kind, { pageSizeBytes });
          source = cluster.sourceDir;
          await makeBigTree(source, spec);
          if (missingPrograms('fio') === false) await fioWrite(source);
          work = await makeTempDir(cleanup, 'tree');
          const directory = isFromDisk ? await makeTempDir(cleanup, 'mount') : undefined;
          const flags = isImmutable ? ['--immutable'] : [];
          const again =
            directory === undefined ? { flags } : { flags, directory, hasDiskCache: true };
          if (isFromDisk) {
            const cold = await mountForTest(cleanup, cluster.info, again);
            await output('diff', ['-r', '--no-dereference', source, cold.path(cluster.name)], {
              timeoutMs: PASS_MS,
            });
            coldMisses = (await diskPages(cold)).misses;
            await cold.unmount();
          }
          mount = await mountForTest(cleanup, cluster.info, again);
          mounted = mount.path(cluster.name);
        },
        { timeout: PASS_MS },
      );

      test('diff -r finds no difference', async () => {
        const { code, out, err } = await run('diff', ['-r', '--no-dereference', source, mounted], {
          timeoutMs: PASS_MS,
        });
        assert.deepEqual({ code, out: out.slice(0, 2000), err }, { code: 0, out: '', err: '' });
      });

      test('tar of the mount has the checksum of tar of the source', async () => {
        const sum = async (dir: string): Promise<string> =>
          await shell(
            `tar -C "$1" --sort=name --owner=0 --group=0 --numeric-owner --mode=0755 --mtime=@0 \
             -c . | sha256sum`,
            [dir],
            { timeoutMs: PASS_MS },
          );
        assert.equal(await sum(mounted), await sum(source));
      });

      test('find prints the same names, types, sizes and times of files', async () => {
        const list = async (dir: string): Promise<string> =>
          await shell(
            `cd "$1" && { find . -type f -printf '%y %s %Ts %P\\n'; find . -type d -printf '%y %P\\n'; } | sort`,
            [dir],
            { timeoutMs: PASS_MS },
          );
        assert.equal(await list(mounted), await list(source));
      });

      test('rsync -c has nothing to copy', { skip: missingPrograms('rsync') }, async () => {
        const args = ['-rtO', '--checksum', '--delete', '--dry-run', '--itemize-changes'];
        const out = await output('rsync', [...args, `${mounted}/`, `${source}/`], {
          timeoutMs: PASS_MS,
        });
        assert.equal(out, '');
      });

      test('grep -r finds the same lines', async () => {
        const search = async (dir: string): Promise<string[]> => {
          const args = ['-r', '-a', '-o', '-F', MARKER, '.'];
          const out = await output('grep', args, { cwd: dir, timeoutMs: PASS_MS });
          return out.split('\n').sort();
        };
        const found = await search(mounted);
        assert.ok(found.length > 10, `${found.length} lines`);
        assert.deepEqual(found, await search(source));
      });

      test('find -newer finds the same files', async () => {
        const search = async (dir: string): Promise<string[]> => {
          const args = ['.', '-type', 'f', '-newer', 'wide/entry-300.dat'];
          const out = await output('find', args, { cwd: dir, timeoutMs: PASS_MS });
          return out.split('\n').sort();
        };
        const found = await search(mounted);
        assert.ok(found.length > 10, `${found.length} files`);
        assert.deepEqual(found, await search(source));
      });

      test('git clones a repository on the mount', { skip: missingPrograms('git') }, async () => {
        const home = join(work, 'home');
        await mkdir(home);
        // The user of the test need not be the owner that the mount shows.
        await writeFile(join(home, '.gitconfig'), '[safe]\n\tdirectory = *\n');
        const env = { HOME: home, GIT_CONFIG_NOSYSTEM: '1' };
        for (const [name, flag] of [
          ['copied', '--no-hardlinks'],
          ['packed', '--no-local'],
        ] as const) {
          const clone = join(work, name);
          await output('git', ['clone', '-q', flag, join(mounted, 'repository.git'), clone], {
            env,
          });
          await output('git', ['-C', clone, 'fsck', '--full', '--strict'], { env });
          const head = async (dir: string): Promise<string> =>
            await output('git', ['-C', dir, 'rev-parse', 'HEAD', 'HEAD^{tree}'], { env });
          assert.equal(await head(clone), await head(join(source, 'repository.git')));
          assert.equal(await output('git', ['-C', clone, 'status', '--porcelain'], { env }), '');
        }
      });

      test(
        '8 threads that seek at random and map files see the source',
        {
          skip: missingPrograms('python3'),
        },
        async () => {
          const files = [
            'large/large-0',
            'large/large-1',
            'wide/entry-1.dat',
            'wide/entry-161.dat',
          ];
          const deep = await output('find', ['deep', '-name', '*1.bin', '-size', '+8'], {
            cwd: source,
          });
          const some = deep.split('\n').filter((name) => name !== '');
          const script = join(repositoryRoot(), 'test/mount/scripts/random_reads.py');
          await output('python3', [script, source, mounted, '1', ...files, ...some.slice(0, 40)], {
            timeoutMs: PASS_MS,
          });
        },
      );

      test('fio verifies what it wrote', { skip: missingPrograms('fio') }, async () => {
        for (const rw of ['read', 'randread']) {
          await output('fio', [
            ...fioArguments(mounted),
            `--rw=${rw}`,
            '--readonly',
            '--allow_file_create=0',
            '--verify_fatal=1',
          ]);
        }
      });

      test('nothing failed on the way, and umount takes it away', async () => {
        const { lastErrors, restarts, cluster: seen, passthrough } = await mount.status();
        assert.deepEqual(lastErrors, []);
        assert.equal(restarts, 0);
        assert.equal(seen?.view.workers.length, 3);
        assert.equal(seen.pageSizeMismatch, undefined);
        assert.equal(await mount.metric('alluxio_fuse_internal_errors_total'), 0);
        if (isFromDisk) {
          const { hits, misses } = await diskPages(mount);
          // What the first pass read faster than the disk took it is fetched again.
          assert.ok(misses < coldMisses / 2, `${misses} pages fetched again of ${coldMisses}`);
          assert.ok(hits > 0);
          assert.equal(await mount.metric('alluxio_fuse_disk_cache_corrupt_files_total'), 0);
          // Where the kernel can, it has read what was whole by itself.
          if (passthrough?.state === 'on') assert.ok(passthrough.opens > 0);
        }
        await mount.unmount();
      });
    },
  );
}

const FIO_FILE = 'fio.dat';

function fioArguments(dir: string): string[] {
  const file = [`--filename=${join(dir, FIO_FILE)}`, '--size=64m', '--bs=64k'];
  return ['--name=verify', ...file, '--ioengine=psync', '--verify=crc32c', '--minimal'];
}

async function fioWrite(dir: string): Promise<void> {
  await output('fio', [...fioArguments(dir), '--rw=write', '--do_verify=0', '--fsync_on_close=1'], {
    cwd: '/tmp',
  });
}

/** Pages that were not in memory and were, or were not, on disk. */
async function diskPages(mount: TestMount): Promise<{ hits: number; misses: number }> {
  const [hits, misses] = await Promise.all([
    mount.metric('alluxio_fuse_disk_cache_hits_total'),
    mount.metric('alluxio_fuse_disk_cache_misses_total'),
  ]);
  return { hits, misses };
}
