/**
 * Goal: the programs that people work with do on the mount what they do on a local directory. Method:
 * each runs on both; the trees that they leave are compared, and then the files in the under store.
 * ALLUXIO_FUSE_TEST_TOOLS_FILES: how many small files `cp -r` copies (the full figure is 20000).
 */
import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { skipCluster, startCluster } from '../support/clusters.ts';
import type { ClusterKind, TestCluster } from '../support/clusters.ts';
import { lastFirst } from '../support/last-first.ts';
import { missingPrograms, mountForTest } from '../support/mount.ts';
import type { TestMount } from '../support/mount.ts';
import { shell } from '../support/run.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import { amount, mountScript, storedAs, treeSums, writableFlags } from '../support/writable.ts';

const PAGE_BYTES = 1024 * 1024;

/** How much the programs are given to do. */
interface Amounts {
  /** For `cp -r`. */
  readonly copied: number;
  /** For `rsync`, in five directories. */
  readonly synced: number;
  /** For `git`. */
  readonly committed: number;
}

/** A real worker takes some tens of milliseconds for a file, and has a few minutes in every run. */
const AMOUNTS: Readonly<Record<ClusterKind, Amounts>> = {
  'devcluster oss': { copied: 200, synced: 500, committed: 40 },
  'devcluster enterprise': { copied: 200, synced: 500, committed: 40 },
  'real Alluxio': { copied: 100, synced: 60, committed: 20 },
};

/** On a machine that has much else to do. */
const TOOL_MS = 180_000;
const COPY_MS = 60;

interface Tool {
  readonly name: string;
  readonly needs: readonly string[];
  /** Runs in an empty directory; `"$1"` is a directory outside of the mount, `"$2"` our scripts. */
  readonly script: string;
  /** Where two runs cannot leave the same bytes: what of the tree is compared. */
  readonly compared?: string;
}

const toolsFor = ({ copied, synced, committed }: Amounts): readonly Tool[] => [
  {
    name: 'fio: 4 jobs write at random and verify',
    needs: ['fio'],
    script: `fio --name=verify --directory=. --size=8m --bs=16k --rw=randwrite --ioengine=psync \
      --numjobs=4 --verify=crc32c --verify_fatal=1 --fsync_on_close=1 --randseed=7 --minimal >/dev/null`,
    compared: '--exclude=*',
  },
  {
    name: 'git: clone, commit, gc, fsck',
    needs: ['git'],
    script: `
      export HOME="$1" GIT_CONFIG_NOSYSTEM=1
      printf '[user]\\nname = T\\nemail = t@localhost\\n[safe]\\ndirectory = *\\n' >"$1/.gitconfig"
      if [ ! -d "$1/origin" ]; then
        git init -q "$1/origin"; cd "$1/origin"
        for i in $(seq ${committed}); do mkdir -p "d$((i % 5))"; seq $((i * 50)) >"d$((i % 5))/f$i"; done
        git add .; git commit -qm first; cd - >/dev/null
      fi
      git clone -q --no-hardlinks "$1/origin" clone
      cd clone
      for i in $(seq 3); do seq "$i" 500 >"new$i"; git rm -qf "d0/f$((i * 5))"; git add .; git commit -qm "$i"; done
      git checkout -qb other; git mv d1 renamed; git commit -qm move
      git gc -q; git fsck --full --strict
      test -z "$(git status --porcelain)"`,
    compared: '--exclude=.git',
  },
  {
    name: 'sqlite3: transactions with a rollback journal',
    needs: ['python3'],
    script: `python3 -B "$2/sqlite.py" data.db`,
  },
  {
    name: 'tar x, a compile, and running what it made',
    needs: ['tar', 'gcc', 'make', 'python3'],
    script: `
      python3 -B "$2/c_project.py" "$1/project" 30
      tar -C "$1" -c project | tar x
      cd project; make -s -j2; test "$(./program)" = 465; make -s clean; make -s -j2`,
  },
  {
    name: 'saving as vim does',
    needs: ['python3'],
    script: `
      seq 1000 >text; chmod 640 text
      for i in $(seq 20); do
        cp -p text .text.swp; cp -p text text~; mv text 4913~; seq "$i" 1000 >text; chmod 640 text
        sync text; rm 4913~ .text.swp
      done
      if command -v vim >/dev/null; then
        vim -Nu NONE -es -c 'set backup writebackup' -c '%s/7/seven/g' -c 'wq' text || true
        test "$(grep -c seven text)" -gt 100
      else sed -i 's/7/seven/g' text; fi`,
  },
  {
    name: 'rsync -aX --delete, both ways',
    needs: ['rsync', 'python3'],
    script: `
      rm -rf "$1/tree" "$1/back"; python3 -B "$2/small_files.py" "$1/tree" ${synced} ${synced / 5}
      ln -s one "$1/tree/link"; chmod 600 "$1/tree/0/0"; touch -d @1234567890 "$1/tree/0/1"
      rsync -aX --delete "$1/tree/" copy/
      rm -r "$1/tree/3"; seq 10 >"$1/tree/0/2"; mkdir "$1/tree/new"; mv "$1/tree/1" "$1/tree/new/one"
      rsync -aX --delete "$1/tree/" copy/
      rsync -aX --delete copy/ "$1/back/"
      test -z "$(rsync -anciX --delete "$1/tree/" copy/; rsync -anciX --delete "$1/tree/" "$1/back/")"`,
  },
  {
    name: `cp -r of ${copied} small files`,
    needs: ['python3'],
    script: `
      test -d "$1/small" || python3 -B "$2/small_files.py" "$1/small" ${copied}
      cp -r "$1/small" copy; diff -r "$1/small" copy; rm -r copy/0; mv copy moved`,
  },
];

export function toolsSuite(kind: ClusterKind): void {
  const skip = skipCluster(kind, { pageSizeBytes: PAGE_BYTES });
  const everyRun = AMOUNTS[kind];
  const copied = amount('ALLUXIO_FUSE_TEST_TOOLS_FILES', everyRun.copied);
  const toolMs = TOOL_MS + copied * COPY_MS;
  suite(`programs that write, ${kind}`, { skip }, () => {
    const cleanup = lastFirst((undo) => after(undo));
    let cluster: TestCluster;
    let mount: TestMount;
    let work = '';

    before(
      async () => {
        cluster = await startCluster(cleanup, kind, { pageSizeBytes: PAGE_BYTES });
        work = await makeTempDir(cleanup, 'tools');
        const flags = writableFlags(join(work, 'staging'), 'through');
        mount = await mountForTest(cleanup, cluster.info, { flags });
      },
      { timeout: toolMs },
    );

    toolsFor({ ...everyRun, copied }).forEach((tool, index) => {
      const { name, needs, script, compared } = tool;
      test(name, { skip: missingPrograms(...needs), timeout: 3 * toolMs }, async () => {
        const dirs = [mount.path(cluster.name, `tool-${index}`), join(work, `local-${index}`)];
        const aside = join(work, `aside-${index}`);
        await mkdir(aside);
        for (const dir of dirs) {
          await shell(`umask 022; mkdir "$3"; cd "$3"; ${script}`, [aside, mountScript(''), dir], {
            timeoutMs: toolMs,
          });
        }
        const [mounted = '', local = ''] = dirs;
        if (compared === undefined) {
          assert.equal(await treeSums(mounted, 'everything'), await treeSums(local, 'everything'));
        } else {
          const args = ['-r', '--no-dereference', compared, mounted, local];
          assert.equal(await shell(`diff "$@"`, args, { timeoutMs: toolMs }), '');
        }
        const stored = join(cluster.sourceDir, `tool-${index}`);
        const sums = await storedAs(mount, mounted, stored);
        assert.equal(sums.stored, sums.mounted);
      });
    });

    test('nothing failed on the way, and the under store has it all', async () => {
      const shown = await treeSums(mount.path(cluster.name), 'bytes');
      assert.equal((await mount.status()).restarts, 0);
      assert.equal(await mount.metric('alluxio_fuse_internal_errors_total'), 0);
      await mount.unmount();
      const plain = (sums: string): string[] =>
        sums.split('\n').filter((line) => !line.startsWith('l '));
      assert.deepEqual(plain(await treeSums(cluster.sourceDir, 'bytes')), plain(shown));
    });
  });
}
