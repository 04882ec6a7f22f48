/** The commands with a daemon that only takes notes: what they ask of it, print, and exit with. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CliContext } from './context.ts';
import type {
  CacheLine,
  DaemonApi,
  DevclusterApi,
  StatusReport,
  UnmountOptions,
} from './daemon-api.ts';
import { mountHelperArguments } from './mount-helper.ts';
import { runCli } from './program.ts';
import { statusText } from './status-text.ts';
import { ageText, bytesText, uptimeText } from './words.ts';

const report: StatusReport = {
  mountpoint: '/mnt/a',
  supervisorPid: 11,
  daemonPid: 12,
  uptimeMs: 3_725_000,
  driver: 'device',
  state: 'serving',
  restarts: 1,
  cluster: {
    source: 'etcd http://e1:2379',
    view: { generation: 4, workers: [1, 2] },
    viewAgeMs: 2300,
    virtualNodes: 2000,
    virtualNodesFrom: 'learned',
    pageSizeBytes: 1_048_576,
    pageSizeMismatch: 'worker w1 has pages of 4194304 bytes',
    ufsRootMismatch: 'the root of w1 is s3://b',
    underStoreFallback: 'unreachable',
    underStoreProblem: 'no\ncredentials',
    workers: [
      {
        id: 'worker-1',
        host: 'w1',
        httpPort: 28080,
        s3Port: 29998,
        personality: 'oss',
        breaker: 'open',
        lastError: 'refused\nfake line',
      },
    ],
  },
  cache: {
    memoryLimitBytes: 536_870_912,
    slotBytes: 131_072,
    slotsTotal: 4096,
    slotsUsed: 16,
    hits: 3,
    misses: 1,
    readAheadBytes: 1_572_864,
    wastedBytes: 0,
  },
  inodes: { known: 12_345, openHandles: 1 },
  fuse: { protocol: '7.40', maxWriteBytes: 1_048_576, readAheadKb: 1024, requestsTotal: 99 },
  lastErrors: [
    { atIso: '2026-01-02T03:04:05.678Z', code: 'EIO', path: '/a?b', reason: 'x', count: 3 },
  ],
};

interface Changes {
  readonly daemon?: Partial<DaemonApi>;
  readonly devcluster?: DevclusterApi;
  readonly env?: Readonly<Record<string, string>>;
  readonly files?: Readonly<Record<string, string>>;
  readonly untilStopped?: () => Promise<void>;
}

async function run(args: readonly string[], changes: Changes = {}) {
  const { daemon, devcluster, env = {}, files = {}, untilStopped = async () => {} } = changes;
  const out: string[] = [];
  const err: string[] = [];
  const calls: unknown[][] = [];
  const context: CliContext = {
    out: (text) => out.push(text),
    err: (text) => err.push(text),
    env,
    cwd: '/cwd',
    uid: 0,
    gid: 0,
    version: '1.2.3',
    readText(path) {
      const text = files[path];
      if (text === undefined) throw new Error(`no such file: ${path}`);
      return text;
    },
    loadDaemon: async () => ({
      async mountDaemon(...given) {
        calls.push(['mount', ...given]);
        return { ok: true, pid: 42, driver: 'device', warnings: ['no worker'] };
      },
      async unmountDaemon(...given) {
        calls.push(['umount', ...given]);
        return { ok: true };
      },
      mountpointsOf: () => [],
      mountFinder() {
        calls.push(['find']);
        return (path) =>
          path.startsWith('/mnt/') ? { mountpoint: path.slice(0, 6), path } : undefined;
      },
      async cacheCommand(...given) {
        calls.push(['cache', ...given]);
      },
      async daemonStatus(...given) {
        calls.push(['status', ...given]);
        return [report];
      },
      ...daemon,
    }),
    async loadDevcluster() {
      assert.ok(devcluster !== undefined, 'Nobody asked for a devcluster');
      return devcluster;
    },
    untilStopped,
    isTerminal: false,
    overwrite: () => undefined,
  };
  const code = await runCli(args, context);
  return { code, out: out.join('\n'), err: err.join('\n'), calls };
}

const enough = ['--ufs', 'file:///d', '--etcd-hosts', 'e1'];

test('mount hands the whole configuration to the daemon and says what it did', async () => {
  const { code, out, calls } = await run([
    'mount',
    'mnt',
    ...enough,
    '--etcd-hosts=e2',
    '--page-size=4MB',
    '--no-allow-other',
    '-oro,noexec',
    '-ouid=5',
    '-f',
  ]);
  assert.equal(code, 0);
  assert.equal(out, '');
  const [name, config, options] = calls[0] as [string, Record<string, unknown>, unknown];
  assert.deepEqual([calls.length, name, options], [1, 'mount', { foreground: true }]);
  assert.deepEqual(config['etcdHosts'], ['http://e1:2379', 'http://e2:2379']);
  assert.deepEqual(
    ['mountpoint', 'pageSizeBytes', 'allowOther', 'uid'].map((key) => config[key]),
    ['/cwd/mnt', 4_194_304, false, 5],
  );
  const background = await run(['mount', 'file:///d', '/m', '--etcd-hosts', 'e1']);
  assert.equal(background.out, 'Mounted file:///d at /m (driver device, pid 42)');
});

test('mount tells why the daemon could not mount, with exit code 1', async () => {
  const daemon = { mountDaemon: async () => ({ ok: false, reason: 'no /dev/fuse' }) as const };
  const { code, err } = await run(['mount', '/m', ...enough], { daemon });
  assert.deepEqual([code, err], [1, 'alluxio-fuse: could not mount /m: no /dev/fuse']);
  const failing = { mountDaemon: () => Promise.reject(new Error('it broke')) };
  const thrown = await run(['mount', '/m', ...enough], { daemon: failing });
  assert.deepEqual([thrown.code, thrown.err], [1, 'alluxio-fuse: it broke']);
});

test('wrong usage and wrong configuration exit with 2 and say what is wrong', async () => {
  const cases: [string[], RegExp][] = [
    [[], /Usage: alluxio-fuse/],
    [['mont'], /unknown command 'mont'[^]*Did you mean mount/],
    [['mount'], /Missing MOUNTPOINT/],
    [['mount', '', ...enough], /MOUNTPOINT is empty/],
    [['mount', 'a', 'b', 'c'], /Too many arguments: "c"/],
    [['mount', '/m', '--page-sze', '1'], /unknown option '--page-sze'[^]*mean --page-size/],
    [['mount', '/m', '--page-size'], /argument missing/],
    [
      ['mount', '/m', ...enough, '--etcd-password', 'sesame'],
      /etcd-password \(--etcd-password\): "\(hidden\)" is not accepted on a command line.*FUSE_ETCD_PASSWORD/,
    ],
    [['mount', '/m', ...enough, '--etcd-password=sesame'], /use --etcd-password-file, ALLUXIO_FU/],
    [['mount', '/m', ...enough, '--etcd-password'], /use --etcd-password-file, ALLUXIO_FUSE/],
    [
      ['mount', '/m', ...enough, '-o', 'rw', '--posix-attributes', 'off'],
      /posix-attributes.*"off" is not possible with a writable mount/,
    ],
    [['mount', '/m'], /etcd-hosts: must be given[^]*ufs: must be given/],
    [['umount'], /missing required argument/],
    [['umount', '/m', '--drop-unsaved'], /--drop-unsaved needs --force/],
    [['umount', '/m', '--force', '-l'], /--lazy and --force exclude each other/],
    [['umount', '/m', '--timeout', 'soon'], /--timeout: "soon" is not a duration/],
    [['devcluster', '--workers', '0'], /--workers: "0" is not a whole number from 1 to 100/],
    [['devcluster', '--page-size', 'big'], /--page-size: "big" is not a size/],
    [['devcluster', '--personality', 'x'], /Allowed choices are oss, enterprise/],
  ];
  for (const [args, pattern] of cases) {
    const { code, out, err, calls } = await run(args);
    assert.equal(code, 2, args.join(' '));
    assert.match(err, pattern);
    assert.doesNotMatch(err, /sesame/);
    assert.equal(out, '');
    assert.deepEqual(calls, []);
  }
});

test('with --json, a wrong command line is told in one object', async () => {
  const cases: [string[], string, RegExp][] = [
    [['fs', 'ls', '/', '--json', '--bogus'], 'usage', /^unknown option '--bogus'/],
    [['fs', 'ls', '--json'], 'usage', /^missing required argument/],
    [['fs', 'find', '/', '--json', '--type', 'x'], 'usage', /Allowed choices are f, d, l/],
    [['info', 'ring', '--json', ...enough, '--page-size', '5'], 'configuration', /too small/],
    [['info', 'properties', '--json', ...enough, '--page-size', '5'], 'configuration', /too small/],
  ];
  for (const [args, expected, pattern] of cases) {
    const { code, err } = await run(args);
    assert.equal(code, 2, args.join(' '));
    const { error } = JSON.parse(err) as { error: { code: string; reason: string } };
    assert.equal(error.code, expected);
    assert.match(error.reason, pattern);
  }
  // Behind `--` it is the name of a file.
  assert.match((await run(['fs', 'ls', '--bogus', '--', '--json'])).err, /^error: unknown option/);
  const daemon = { daemonStatus: async () => [] };
  const { code, err } = await run(['status', '/mnt/none', '--json'], { daemon });
  assert.equal(code, 1);
  assert.match(err, /^\{"error":\{"reason":"\/mnt\/none is not mounted/);
});

test('print-config prints and does not mount', async () => {
  const good = await run(['mount', '--print-config', ...enough]);
  assert.deepEqual([good.code, good.calls], [0, []]);
  assert.match(good.out, /^ufs +file:\/\/\/d +--ufs$/m);
  const partial = await run(['mount', '--print-config', '--etcd-hosts', 'e1']);
  assert.equal(partial.code, 0);
  assert.match(partial.out, /^etcd-hosts +e1 /m);
  assert.match(partial.err, /^alluxio-fuse: ufs: must be given/m);
  const bad = await run(['mount', '--print-config', '--json', '--uid', 'x'], {
    env: { ALLUXIO_FUSE_GID: '9' },
  });
  assert.equal(bad.code, 2);
  assert.match(bad.err, /^alluxio-fuse: uid \(--uid\): "x"/m);
  const shown = JSON.parse(bad.out) as { options: Record<string, { where: string }> };
  assert.equal(shown.options['gid']?.where, 'ALLUXIO_FUSE_GID');
  const refused = await run(['mount', '--print-config', '--page-size', '5', ...enough]);
  assert.match(refused.out, /^page-size +refused +--page-size$/m);
});

test('umount passes on what it was told', async () => {
  const { code, calls } = await run(['umount', 'm', '-l', '--timeout', '2min'], {
    env: { ALLUXIO_FUSE_STATE_DIR: '/state' },
  });
  assert.equal(code, 0);
  const [name, path, { signal: _signal, onProgress: _show, ...options }] = calls[0] as [
    string,
    string,
    UnmountOptions,
  ];
  assert.deepEqual([calls.length, name, path], [1, 'umount', '/cwd/m']);
  const words = { lazy: true, force: false, dropUnsaved: false };
  assert.deepEqual(options, { ...words, timeoutMs: 120_000, stateDir: '/state' });
  const kept = {
    unmountDaemon: async (_path: string, given: UnmountOptions) =>
      ({ ok: true, notes: [`forced ${given.force} ${given.dropUnsaved}`] }) as const,
  };
  const forced = await run(['umount', '/m', '--force', '--drop-unsaved'], { daemon: kept });
  assert.deepEqual([forced.code, forced.err], [0, 'alluxio-fuse: forced true true']);
  const daemon = { unmountDaemon: async () => ({ ok: false, reason: 'busy' }) as const };
  const busy = await run(['unmount', '/m'], { daemon });
  assert.deepEqual([busy.code, busy.err], [1, 'alluxio-fuse: could not unmount /m: busy']);
});

test('status prints reports for people and as JSON', async () => {
  const one = await run(['status', '/mnt/a', '--json']);
  assert.deepEqual([one.code, JSON.parse(one.out)], [0, report]);
  const all = await run(['status', '--json']);
  assert.deepEqual(JSON.parse(all.out), [report]);
  assert.deepEqual(all.calls, [['status', undefined, { stateDir: '/run/alluxio-fuse' }]]);
  const none = { daemonStatus: async () => [] };
  assert.deepEqual((await run(['status'], { daemon: none })).out, 'No mounts');
  const missing = await run(['status', '/x'], { daemon: none });
  assert.equal(missing.code, 1);
  assert.match(missing.err, /\/x is not mounted by alluxio-fuse/);
});

test('status text has no figures of a daemon that does not answer', () => {
  const text = statusText({ ...report, state: 'not answering', cluster: undefined });
  assert.match(text, /^ {2}cluster +not known: the daemon does not answer$/m);
  assert.doesNotMatch(text, /cache|inodes|so far/);
});

test('status text tells what an administrator looks for, and outside text cannot break its lines', () => {
  const text = statusText(report);
  for (const pattern of [
    /^\/mnt\/a$/m,
    /^ {2}state +serving, up 1h 2min, restarted 1 time$/m,
    /^ {2}processes +supervisor 11, daemon 12$/m,
    /requests of 1 MiB, read-ahead 1 MiB, 99 requests so far/,
    /etcd http:\/\/e1:2379, 2 workers, seen 2.3 s ago, generation 4/,
    /2,000 virtual nodes a worker \(learned\), pages of 1 MiB/,
    /^ {2}under store +fallback unreachable: no\\ncredentials$/m,
    /^ {2}WARNING +wrong under store: the root of w1/m,
    /^ {2}WARNING +wrong page size: worker w1 has/m,
    /^ {2}cache +2 MiB of 512 MiB used, 3 hits, 1 miss \(75 % hits\)$/m,
    /1.50 MiB read ahead, 0 B of it never used/,
    /12,345 known, 1 open handle$/m,
    /w1 +28080 +29998 +oss +open +worker-1 +refused\\nfake line$/m,
    /EIO +3 × +\/a\?b +x$/m,
  ]) {
    assert.match(text, pattern);
  }
  const fuse = { protocol: 'libfuse 2', maxWriteBytes: 0, readAheadKb: 0, requestsTotal: 1 };
  const native = statusText({ ...report, driver: 'fuse-native', fuse });
  assert.match(native, /kernel +driver fuse-native, protocol libfuse 2, 1 request so far$/m);
  const dead = statusText({ ...report, daemonPid: undefined, cluster: undefined, lastErrors: [] });
  assert.match(dead, /supervisor 11, no daemon[^]*not known: the daemon does not answer/);
});

test('a status of a writable mount says what waits, why, and where', () => {
  const writes = {
    writeMode: 'back' as const,
    unsavedFiles: 1,
    unsavedBytes: 1024,
    uploadsPending: 2,
    uploadBytesPending: 3 * 1024 * 1024,
    attributesPending: 1,
    repairsPending: 0,
    keptFiles: 1,
    oldestAgeMs: 12_000,
    lastError: 'Uploading /a: no worker',
    retryInMs: 4000,
    renames: [{ from: '/x', to: '/y', phase: 'copying', filesCopied: 7 }],
    uploads: { active: 1, succeeded: 3, failed: 2, sentBytes: 2048 },
    staging: { directory: '/var/s', usedBytes: 4096, limitBytes: 8192 },
  };
  const text = statusText({ ...report, writes });
  for (const pattern of [
    /writes +mode back, 1 file \(1 KiB\) not saved, 2 files \(3 MiB\) in the journal, attributes of 1 directory in the journal, the oldest change 12 s old$/m,
    /WARNING +cannot be saved: Uploading \/a: no worker; tried again in 4\.0 s$/m,
    /uploads +1 under way, 3 successes, 2 failures, 2 KiB sent$/m,
    /staging +4 KiB of 8 KiB used in \/var\/s$/m,
    /kept +1 removed file still open$/m,
    /rename +\/x to \/y: copying, 7 files copied$/m,
  ]) {
    assert.match(text, pattern);
  }
  const { lastError: _error, retryInMs: _retry, ...rest } = writes;
  const nothing = { unsavedFiles: 0, uploadsPending: 0, attributesPending: 0, oldestAgeMs: 0 };
  const idle = statusText({
    ...report,
    writes: { ...rest, ...nothing, keptFiles: 0, renames: [] },
  });
  assert.match(idle, /writes +mode back, the cluster has everything$/m);
  assert.doesNotMatch(idle, /cannot be saved/);
  assert.doesNotMatch(statusText(report), /staging/);
});

test('numbers are shown for people', () => {
  assert.deepEqual([0, 999, 1000, 1536, 112_640, 1_048_576, 5_000_000_000].map(bytesText), [
    '0 B',
    '999 B',
    '0.98 KiB',
    '1.50 KiB',
    '110 KiB',
    '1 MiB',
    '4.66 GiB',
  ]);
  assert.deepEqual([0, 2345, 61_400].map(ageText), ['0.0 s', '2.3 s', '61 s']);
  assert.deepEqual([0, 5000, 3_600_000, 93_784_000].map(uptimeText), ['0s', '5s', '1h', '1d 2h']);
});

test('devcluster prints one line, stays, and stops what it started', async () => {
  const seen: unknown[] = [];
  const devcluster: DevclusterApi = {
    async startDevcluster({ onLoss: _told, ...options }) {
      seen.push(options);
      return { info: { etcdPort: 1 }, stop: async () => void seen.push('stopped') };
    },
  };
  const { code, out } = await run(
    ['devcluster', '--workers', '2', '--data', 'd', '--virtual-nodes', '5'],
    { devcluster },
  );
  assert.deepEqual([code, out], [0, '{"etcdPort":1}']);
  const options = { workers: 2, pageSizeBytes: 1_048_576, personality: 'oss' };
  assert.deepEqual(seen, [{ ...options, dataDir: '/cwd/d', virtualNodes: 5 }, 'stopped']);
});

test('help and version exit with 0', async () => {
  assert.deepEqual((await run(['--version'])).out, '1.2.3');
  const help = await run(['mount', '--help']);
  assert.equal(help.code, 0);
  for (const text of ['--page-size <SIZE>', 'Examples:', 'Exit codes:', 'Cluster:']) {
    assert.ok(help.out.includes(text), text);
  }
  assert.ok(!help.out.includes('--etcd-password '));
});

test('arguments of a mount helper become those of mount', () => {
  assert.deepEqual(mountHelperArguments(['s3://b', '/m', '-sn', '-t', 'x', '-o', 'rw,ro']), [
    'mount',
    's3://b',
    '/m',
    '-o',
    'ro',
  ]);
  const words = mountHelperArguments(['x', '/m', '-o', 'rw,etcd_hosts=a\\,b']);
  assert.deepEqual(words, ['mount', 'x', '/m', '-o', 'etcd_hosts=a\\,b']);
  assert.deepEqual(mountHelperArguments(['x', '/m', '-o', 'rw']), ['mount', 'x', '/m']);
  assert.equal(mountHelperArguments(['s3://b', '/m', '-f']), undefined);
});

const never = (): Promise<void> => new Promise(() => undefined);

/** A daemon that answers with these lines. */
const answering = (...lines: CacheLine[]): Changes => ({
  untilStopped: never,
  daemon: {
    async cacheCommand(_, { onLine }) {
      for (const line of lines) onLine(line);
      await Promise.resolve();
    },
  },
});

test('cache commands print what the cache answers, for people and as JSON', async () => {
  const file = { kind: 'file', path: '/a\nb', cachedBytes: 4096, isComplete: false };
  const listed = await run(['cache', 'ls', '/mnt/a'], answering(file));
  assert.deepEqual([listed.code, listed.out], [0, '           4096 part /a\\nb']);
  const json = await run(['cache', 'ls', '/mnt/a', '--json'], answering(file));
  assert.deepEqual(JSON.parse(json.out), file);
  const dropped = await run(
    ['cache', 'drop', '/mnt/a', '/x'],
    answering({ kind: 'dropped', files: 2, bytes: 2048, inUse: 1 }),
  );
  assert.equal(dropped.out, '2 files dropped, 2 KiB; 1 file in use left alone');
});

test('cache commands take paths from where they are run, and say where nothing is cached of them', async () => {
  const asked: string[] = [];
  const nothing: Changes = {
    untilStopped: never,
    daemon: {
      async cacheCommand({ paths }, { onLine }) {
        asked.push(...paths);
        onLine({ kind: 'verified', files: 0, checked: 0, corrupt: 0 });
        await Promise.resolve();
      },
    },
  };
  const { code, err } = await run(['cache', 'verify', 'm', 'm/a', '/b'], nothing);
  assert.deepEqual(asked, ['/cwd/m/a', '/b']);
  assert.deepEqual([code, err], [0, 'alluxio-fuse: nothing is cached of /cwd/m/a, /b']);
  assert.equal((await run(['cache', 'verify', 'm'], nothing)).err, '');
});

test('cache verify and warm fail where something was wrong', async () => {
  const verified = { kind: 'verified', files: 3, checked: 3, corrupt: 1 };
  const wrong = await run(['cache', 'verify', '/mnt/a'], answering(verified));
  assert.deepEqual([wrong.code, wrong.out], [1, '3 files verified, 1 wrong and removed']);
  const right = await run(['cache', 'verify', '/mnt/a'], answering({ ...verified, corrupt: 0 }));
  assert.deepEqual([right.code, right.out], [0, '3 files verified, all as written']);
  const warmed = { kind: 'warmed', files: 1, failed: 1, cachedBytes: 10, fetchedBytes: 10 };
  const failed = { kind: 'failed', path: '/x', reason: 'gone' };
  const partly = await run(['cache', 'warm', '/mnt/a', '/x'], answering(failed, warmed));
  assert.equal(partly.code, 1);
  assert.equal(partly.err, 'alluxio-fuse: /x: gone');
});

test('warmup fails where files are not in the cache afterwards, and says what to do', async () => {
  const limitBytes = 16 * 1024 * 1024;
  const directory = {
    directory: '/c',
    state: 'serving',
    usedBytes: 1,
    limitBytes,
    files: 1,
    pages: 1,
  };
  const warmed = { kind: 'warmed', files: 1000, failed: 0, cachedBytes: 3e7, fetchedBytes: 3e7 };
  const asked: string[] = [];
  const warming = (missingFiles: number, reason?: string): Changes => ({
    untilStopped: never,
    files: { '/cwd/list': Array.from({ length: 1500 }, (_, at) => `/mnt/a/${at}`).join('\n') },
    daemon: {
      async cacheCommand({ verb, paths }, { onLine }) {
        asked.push(`${verb} ${paths.length}`);
        const directories = [reason === undefined ? directory : { ...directory, reason }];
        if (verb === 'warm') onLine({ ...warmed, losses: paths.length < 1000 ? 7 : 0 });
        else
          onLine({
            kind: 'missing',
            files: 1000,
            bytes: 3e7,
            missingFiles,
            failed: 0,
            directories,
          });
        await Promise.resolve();
      },
    },
  });
  const args = ['warmup', '--list', 'list'];
  const { code, out, err } = await run(args, warming(200));
  // What the second part pushed out may be of the first.
  assert.deepEqual(asked, ['warm 1000', 'warm 500', 'missing 1000', 'missing 500']);
  assert.equal(code, 1);
  assert.equal(out, '2,000 files, 57.2 MiB, 57.2 MiB of it fetched');
  assert.equal(
    err,
    'alluxio-fuse: 400 of 2,000 files (57.2 MiB in all) are not in the cache: --cache-limit allows 16 MiB. Give the cache more room, or fetch fewer files',
  );
  const full = await run(args, warming(1, 'the disk is full'));
  assert.match(full.err, /2 of 2,000 files .*: \/c: the disk is full; --cache-limit .*$/);
  const none = await run(args, warming(0));
  assert.equal(none.code, 0);
  assert.match(none.out, /\nAll in the cache$/);
  const json = await run([...args, '--json'], warming(200));
  assert.equal(json.code, 1);
  assert.deepEqual((JSON.parse(json.out.split('\n').at(-1) ?? '') as CacheLine).missingFiles, 200);
});

test(
  'a list of 100,000 paths costs a question for each thousand',
  { timeout: 10_000 },
  async () => {
    const list = Array.from({ length: 100_000 }, (_, at) => `/mnt/a/directory/${at}`).join('\n');
    const changes = { untilStopped: never, files: { '/cwd/list': list } };
    const { code, calls } = await run(['warmup', '--list', 'list'], changes);
    assert.equal(code, 0);
    const [first, ...more] = calls.map(([name]) => name);
    assert.deepEqual([first, more.length, new Set(more)], ['find', 100, new Set(['cache'])]);
  },
);

test('cache and warmup ask the right mount for the right paths', async () => {
  const changes = { untilStopped: never, files: { '/cwd/list': '/mnt/a/2\n\n/mnt/b/3\n' } };
  const { code, calls, err } = await run(
    ['warmup', '/mnt/a/1', '--list', 'list', '--parallel', '4'],
    changes,
  );
  assert.equal(code, 0, err);
  assert.deepEqual(
    calls.flatMap(([name, command]) => (name === 'cache' ? [command] : [])),
    [
      { verb: 'warm', target: '/mnt/a', paths: ['/mnt/a/1', '/mnt/a/2'], parallel: 4 },
      { verb: 'warm', target: '/mnt/b', paths: ['/mnt/b/3'], parallel: 4 },
    ],
  );
  assert.equal((await run(['warmup', '/elsewhere'], changes)).code, 1);
  assert.equal((await run(['warmup'], changes)).code, 2);
  assert.equal((await run(['warmup', '/mnt/a', '--parallel', '99'], changes)).code, 2);
  assert.equal((await run(['cache', 'drop', '/mnt/a'], changes)).code, 2);
  assert.equal((await run(['cache', 'drop', '/mnt/a', '/x', '--all'], changes)).code, 2);
  assert.equal((await run(['cache', 'stat', '/mnt/a'])).code, 130, 'stopped');
});
