/**
 * Goal: every legal Linux name is read correctly, or refused with EIO and a reason where no worker
 * can be asked for it; never ENOENT for what exists, never another file, never other bytes.
 * Method: thousands of names, every byte among them, as files and as directories, compared by
 * Python, to which names are bytes.
 */
import assert from 'node:assert/strict';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { CLUSTER_KINDS, skipCluster, startCluster } from '../support/clusters.ts';
import type { TestCluster } from '../support/clusters.ts';
import { lastFirst } from '../support/last-first.ts';
import { missingPrograms, mountForTest } from '../support/mount.ts';
import type { TestMount } from '../support/mount.ts';
import { repositoryRoot } from '../support/repository.ts';
import { output } from '../support/run.ts';

const MIB = 1024 * 1024;
/** Some 4,500 files and as many lookups, each a round trip to a busy worker. */
const LOOK_MS = 400_000;
const INEXPRESSIBLE = 'alluxio_fuse_inexpressible_names_total';

interface ListingReport {
  readonly error: string;
  readonly missing: readonly string[];
  readonly extra: readonly string[];
  readonly twice: number;
}

interface DirectoryReport {
  readonly listing: ListingReport;
  /** Names in hex to 'same', an errno, or what differs. */
  readonly names: Readonly<Record<string, string>>;
  readonly inner: Readonly<Record<string, string | ListingReport>>;
}

const COMPLETE: ListingReport = { error: '', missing: [], extra: [], twice: 0 };
const PLAIN_DIRECTORIES = ['plain-files', 'plain-directories'];
const LOST_KINDS = ['question', 'backslash', 'broken'] as const;

async function python(...args: readonly string[]): Promise<string> {
  const script = join(repositoryRoot(), 'test/mount/scripts/names.py');
  return await output('python3', [script, ...args], { timeoutMs: LOOK_MS });
}

async function look(
  cluster: TestCluster,
  mount: TestMount,
): Promise<Record<string, DirectoryReport>> {
  const text = await python('look', cluster.sourceDir, mount.path(cluster.name));
  return JSON.parse(text) as Record<string, DirectoryReport>;
}

function assertAllSame(
  report: DirectoryReport,
  what: string,
  mayBeUnlistable: (hex: string) => boolean = () => false,
): void {
  assert.deepEqual(report.listing, COMPLETE, what);
  assert.deepEqual(othersThan('same', report.names), [], what);
  for (const [path, found] of Object.entries(report.inner)) {
    if (typeof found === 'string') assert.equal(found, 'same', `${what} ${path}`);
    else if (found.error !== '' && mayBeUnlistable(path.split('/')[0] ?? '')) {
      assert.equal(found.error, 'EIO', `${what} ${path}`);
    } else assert.deepEqual(found, COMPLETE, `${what} ${path}`);
  }
}

function othersThan(
  verdict: string,
  names: Readonly<Record<string, string>>,
): (readonly [string, string])[] {
  return Object.entries(names)
    .filter(([, found]) => found !== verdict)
    .map(([hex, found]) => [shown(hex), found] as const);
}

const shown = (hex: string): string => JSON.stringify(Buffer.from(hex, 'hex').toString('latin1'));

/**
 * Whether a directory whose path only the S3 port can carry is one that the port cannot list: its
 * answer is XML, which repeats the path, and XML has no such characters.
 */
function isUnlistable(hex: string): boolean {
  const text = Buffer.from(hex, 'hex').toString('utf8');
  // oxlint-disable-next-line no-control-regex
  return /[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]/.test(text);
}

/** Whether workers lose the name or take it for another. */
function isLost(hex: string): boolean {
  const bytes = Buffer.from(hex, 'hex');
  if (bytes.includes('?') || bytes.includes('\\')) return true;
  return !Buffer.from(bytes.toString('utf8')).equals(bytes);
}

for (const kind of CLUSTER_KINDS) {
  const skip = skipCluster(kind) || missingPrograms('python3');
  suite(`names on ${kind}`, { skip }, () => {
    const cleanup = lastFirst((undo) => after(undo));
    let cluster: TestCluster;
    let rootDir = '';

    before(async () => {
      cluster = await startCluster(cleanup, kind, { pageSizeBytes: MIB });
      rootDir = join(cluster.sourceDir, '..');
      await python('make', cluster.sourceDir);
      cleanup(async () => {
        for (const name of await readdir(rootDir)) {
          if (!name.startsWith(`${cluster.name}-`)) continue;
          await rm(join(rootDir, name), { recursive: true, force: true });
        }
      });
      await python('make-root', rootDir, cluster.name);
    });

    test('all are read where the under store can be asked for what workers cannot say', async () => {
      const mount = await mountForTest(cleanup, cluster.info);
      for (const [name, report] of Object.entries(await look(cluster, mount))) {
        assertAllSame(report, name);
      }
      // Workers keep a listing for days, so that of a shared cluster's root is what it once was.
      if (!cluster.isShared) {
        const atRoot = JSON.parse(
          await python('look-root', rootDir, mount.mountpoint, cluster.name),
        ) as Pick<DirectoryReport, 'listing' | 'names'>;
        assert.deepEqual(atRoot.listing, COMPLETE);
        assert.deepEqual(othersThan('same', atRoot.names), []);
      }
      assert.equal(await mount.metric('alluxio_fuse_internal_errors_total'), 0);
      const asked = 'alluxio_fuse_under_store_fallbacks_total';
      assert.ok((await mount.metric(asked, { reason: 'inexpressible' })) > 0);
      await mount.unmount();
    });

    test('without the under store a name is read, or refused with a reason', async () => {
      const flags = ['--under-store-fallback', 'off'];
      const mount = await mountForTest(cleanup, cluster.info, { flags });
      const isOpenSource = kind !== 'devcluster enterprise';
      const reports = await look(cluster, mount);
      for (const name of PLAIN_DIRECTORIES) {
        const report = reports[name] as DirectoryReport;
        assertAllSame(report, name, isOpenSource ? isUnlistable : undefined);
      }
      for (const lost of LOST_KINDS) {
        for (const form of ['files', 'directories']) {
          const report = reports[`${lost}-${form}`] as DirectoryReport;
          assertRefused(report, `${lost}-${form}`, lost === 'broken' ? 'EIO' : '');
        }
      }
      const log = await mount.logText();
      const { lastErrors } = await mount.status();
      for (const reason of ['question-mark', 'backslash', 'invalid-utf8']) {
        assert.ok((await mount.metric(INEXPRESSIBLE, { reason })) > 0, reason);
      }
      assert.match(log, /"code":"inexpressible"/);
      assert.ok(lastErrors.some(({ code, reason }) => code === 'inexpressible' && reason !== ''));
      assert.equal(await mount.metric('alluxio_fuse_internal_errors_total'), 0);
      await mount.unmount();
    });

    test('entries of the root are read, or refused with a reason', async (context) => {
      if (cluster.isShared) {
        context.skip("workers keep a listing of a shared cluster's root for days");
        return;
      }
      const flags = ['--under-store-fallback', 'off'];
      const mount = await mountForTest(cleanup, cluster.info, { flags });
      const { listing, names } = JSON.parse(
        await python('look-root', rootDir, mount.mountpoint, cluster.name),
      ) as Pick<DirectoryReport, 'listing' | 'names'>;
      const isOpenSource = kind !== 'devcluster enterprise';
      assert.equal(listing.error, '');
      assert.deepEqual(listing.extra, []);
      assert.deepEqual(listing.missing.filter((hex) => !isLost(hex)).map(shown), []);
      for (const [hex, found] of Object.entries(names)) {
        const path = Buffer.from(hex, 'hex').toString('latin1');
        // The S3 port of open source has no way to say a file that is in no directory.
        const isRefused = isLost(hex) || (isOpenSource && !path.includes('/'));
        assert.equal(found, isRefused ? 'EIO' : 'same', path);
      }
      if (isOpenSource) assert.ok((await mount.metric(INEXPRESSIBLE, { reason: 'root-file' })) > 0);
      await mount.unmount();
    });
  });
}

/** Nothing is wrong, nothing is said not to exist; what can be said is right. */
function assertRefused(report: DirectoryReport, what: string, listingError: string): void {
  const { listing, names, inner } = report;
  assert.equal(listing.error, listingError, what);
  assert.deepEqual(listing.extra.map(shown), [], what);
  assert.deepEqual(listing.missing.filter((hex) => !isLost(hex)).map(shown), [], what);
  for (const [hex, found] of Object.entries(names)) {
    assert.equal(found, isLost(hex) ? 'EIO' : 'same', `${what} ${shown(hex)}`);
  }
  for (const [path, found] of Object.entries(inner)) {
    if (!path.split('/').some(isLost)) continue;
    assert.equal(typeof found === 'string' ? found : found.error, 'EIO', `${what} ${path}`);
  }
}
