import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConfigError } from './config-error.ts';
import { formatConfig } from './format.ts';
import { environmentName, mountOptionNames, optionList } from './options.ts';
import { inspectConfig, redactConfig, resolveConfig } from './resolve.ts';
import type { ConfigInputs } from './resolve.ts';

type Changes = Partial<Omit<ConfigInputs, 'readText'>> & {
  readonly files?: Readonly<Record<string, string>>;
};

function inputs({ files = {}, ...changes }: Changes = {}): ConfigInputs {
  return {
    mountpoint: 'mnt',
    flags: {},
    mountOptions: [],
    properties: [],
    env: {},
    cwd: '/cwd',
    uid: 0,
    gid: 0,
    readText(path) {
      const text = files[path];
      if (text === undefined) throw new Error(`ENOENT: no such file, open '${path}'`);
      return text;
    },
    ...changes,
  };
}

const enough = { ufs: 'file:///data', etcdHosts: 'e1' } as const;

function problemsOf(changes: Changes): string[] {
  try {
    resolveConfig(inputs(changes));
    return [];
  } catch (error) {
    assert.ok(error instanceof ConfigError);
    return error.message.split('\n');
  }
}

test('nothing that the daemon writes lies below what it serves', () => {
  const flags = { ...enough, cacheDirs: '/cwd/mnt/sub,/cwd/mnt2' };
  assert.match(
    problemsOf({ flags }).join('\n'),
    /--cache-dir.*\/cwd\/mnt\/sub.*inside the mount point/,
  );
  const staging = { ...enough, stagingDir: '/cwd/mnt' };
  assert.match(problemsOf({ flags: staging }).join('\n'), /--staging-dir.*inside the mount point/);
  assert.deepEqual(problemsOf({ flags: { ...enough, cacheDirs: '/cwd/mnt2' } }), []);
});

test('data that does not change is not written: --immutable says so against --no-read-only', () => {
  const both = { ...enough, immutable: 'true', readOnly: 'false' };
  assert.match(
    problemsOf({ flags: both }).join('\n'),
    /--no-read-only.*not possible with --immutable/,
  );
  assert.deepEqual(problemsOf({ flags: { ...enough, immutable: 'true' } }), []);
});

test('a configuration with the least that is needed has the documented defaults', () => {
  const { config, warnings } = resolveConfig(inputs({ flags: enough }));
  assert.deepEqual(warnings, []);
  assert.deepEqual(config, {
    mountpoint: '/cwd/mnt',
    membershipSource: 'etcd',
    mountFlags: ['nosuid', 'nodev'],
    etcdHosts: ['http://e1:2379'],
    etcdPort: 2379,
    clusterName: 'DefaultAlluxioCluster',
    workerHosts: [],
    workerHttpPort: 28080,
    workerS3Port: 29998,
    pageSizeBytes: 1_048_576,
    virtualNodes: 'auto',
    routing: 'ring',
    mounts: [{ path: '/', ufs: 'file:///data' }],
    mountsFrom: 'configuration',
    mapRefreshMs: 120_000,
    membershipRefreshMs: 30_000,
    requestTimeoutMs: 60_000,
    s3Anonymous: false,
    s3PathStyle: 'auto',
    connectTimeoutMs: 3000,
    underStoreFallback: 'auto',
    underStoreFallbackRate: 200,
    memoryLimitBytes: 536_870_912,
    cacheDirs: [],
    cacheLimitBytes: 10 * 1024 ** 3,
    cacheFreeSpace: { percent: 10 },
    maxReadAheadBytes: 16_777_216,
    attrTimeoutMs: 60_000,
    entryTimeoutMs: 60_000,
    negativeTimeoutMs: 5000,
    maxInodes: 2_000_000,
    uid: 0,
    gid: 0,
    fileMode: 0o644,
    dirMode: 0o755,
    allowOther: true,
    defaultPermissions: true,
    trustListings: false,
    immutable: false,
    passthrough: 'auto',
    readOnly: false,
    writeMode: 'through',
    uploadStrategy: 'auto',
    stagingDir: '/var/lib/alluxio-fuse',
    stagingLimitBytes: 10 * 1024 ** 3,
    posixAttributes: 'auto',
    driver: 'device',
    maxBackground: 128,
    fsName: 'alluxio',
    stateDir: '/run/alluxio-fuse',
    logLevel: 'info',
    metricsHost: '127.0.0.1',
    metricsPort: 49999,
  });
  assert.deepEqual(JSON.parse(JSON.stringify(config)), config);
});

test('a user who is not root gets defaults of their own', () => {
  const { config } = resolveConfig(
    inputs({ flags: enough, uid: 7, gid: 8, env: { XDG_RUNTIME_DIR: '/run/user/7' } }),
  );
  assert.deepEqual([config.uid, config.gid, config.allowOther], [7, 8, false]);
  assert.equal(config.stateDir, '/run/user/7/alluxio-fuse');
});

// Goal: the documented order of the sources. Method: give all, then take the strongest away, one
// after the other.
test('the strongest source counts, and is named', () => {
  const all = {
    flags: { ...enough, pageSizeBytes: '1MB', config: '/c.yaml', siteProperties: '/s.properties' },
    mountOptions: ['page_size=2MB,page-size=3MB', 'ro'],
    properties: ['alluxio.worker.page.store.page.size=4MB'],
    env: { ALLUXIO_FUSE_PAGE_SIZE: '5MB' },
    files: {
      '/c.yaml': '# x\npage-size: 6MB\n',
      '/s.properties': '\n\nalluxio.worker.page.store.page.size=7MB\nalluxio.unknown=1\n',
    },
  };
  const { pageSizeBytes: _given, ...flags } = all.flags;
  const steps: [Changes, number, string][] = [
    [all, 1, '--page-size'],
    [{ ...all, flags }, 3, '-o page-size'],
    [{ ...all, flags, mountOptions: [] }, 4, '--property alluxio.worker.page.store.page.size'],
    [{ ...all, flags, mountOptions: [], properties: [] }, 5, 'ALLUXIO_FUSE_PAGE_SIZE'],
    [{ flags, files: all.files }, 6, '/c.yaml:2'],
    [
      { flags: { ...enough, siteProperties: '/s.properties' }, files: all.files },
      7,
      '/s.properties:3 alluxio.worker.page.store.page.size',
    ],
    [{ flags: enough }, 1, 'default'],
  ];
  for (const [changes, megabytes, where] of steps) {
    const { config, entries } = resolveConfig(inputs(changes));
    assert.equal(config.pageSizeBytes, megabytes * 1_048_576, where);
    assert.equal(entries.find(({ key }) => key === 'page-size')?.where, where);
  }
});

// Goal: no option is forgotten in a source. Method: for each row, the same value through every
// source that the table says there is.
test('every option can be given in every source of its row', () => {
  for (const { field, row } of optionList) {
    if (
      ['config', 'siteProperties', 'readOnly', 'etcdPasswordFile', 'pathRulesFile'].includes(field)
    )
      continue;
    const samples: Record<string, string> = {
      etcdHosts: 'x',
      etcdUsername: 'x',
      etcdPassword: 'x',
      workerHosts: 'x',
      ufs: 's3://b',
      map: '/a=s3://b',
      etcdCaFile: '/x',
      etcdCertFile: '/x',
      etcdKeyFile: '/x',
      logFile: '/x',
      cacheDirs: '/x',
      s3Endpoint: 'https://x',
      s3Region: 'x',
      s3Profile: 'x',
    };
    const value = row.fallback({ uid: 0, gid: 0, env: {} });
    const text = samples[field] ?? row.kind.format(value);
    const entryOf = (changes: Changes) => {
      const { entries } = inspectConfig(inputs(changes));
      return entries.find(({ key }) => key === row.key);
    };
    const expected = row.isSecret === true ? '(hidden)' : text;
    const files = { '/y': `${row.key}: "${text}"`, '/p': `${row.properties?.at(-1)} = ${text}` };
    const given: [string, Changes][] = [
      ['environment', { env: { [environmentName(row)]: text } }],
      ['yaml', { flags: { config: '/y' }, files }],
    ];
    if (row.properties !== undefined) {
      // A number without a unit is never printed for a duration, so the dialect does not matter.
      given.push(['site-properties', { flags: { siteProperties: '/p' }, files }]);
    }
    if (row.isSecret !== true) {
      given.push(['flag', { flags: { [field]: text } }]);
      for (const name of mountOptionNames(row)) {
        given.push(['mount-option', { mountOptions: [`${name}=${text}`] }]);
      }
    }
    for (const [source, changes] of given) {
      const entry = entryOf(changes);
      assert.deepEqual([entry?.value, entry?.source], [expected, source], `${row.key} ${source}`);
    }
  }
});

test('several under stores have a mount each', () => {
  const mountsOf = (changes: Changes) => inspectConfig(inputs(changes)).config?.mounts;
  const [a, b] = [
    { path: '/a', ufs: 's3://x/y' },
    { path: '/a/b', ufs: 'file:///z' },
  ];
  const { ufs: _ufs, ...members } = enough;
  assert.deepEqual(mountsOf({ flags: { ...members, map: '/a/=s3://x/y/,/a/b=file:///z' } }), [
    a,
    b,
  ]);
  assert.deepEqual(mountsOf({ flags: { ...enough, map: '/a=s3://x/y' } }), [
    { path: '/', ufs: 'file:///data' },
    a,
  ]);
  const yaml = { '/y': 'map:\n  - /a=s3://x/y\n  - /a/b=file:///z\n' };
  assert.deepEqual(mountsOf({ flags: { ...members, config: '/y' }, files: yaml }), [a, b]);
  assert.deepEqual(mountsOf({ flags: { ...members, map: 'cluster' } }), []);
  const words = { mountOptions: ['map=/a=s3://x/y,ro,map=/a/b=file:///z'] };
  assert.deepEqual(mountsOf({ flags: members, ...words }), [a, b]);
  // The command line's words come behind those of fstab.
  const hosts = { mountOptions: ['etcd_hosts=old', 'etcd_hosts=new'], flags: { ufs: 's3://b' } };
  assert.deepEqual(inspectConfig(inputs(hosts)).config?.etcdHosts, ['http://new:2379']);
  // A root for every client of the machine says less than what this mount is told.
  const files = { '/p': 'alluxio.dora.client.ufs.root=file:///all' };
  const site = { ...members, siteProperties: '/p' };
  assert.deepEqual(mountsOf({ flags: { ...site, map: 'cluster' }, files }), []);
  assert.deepEqual(mountsOf({ flags: { ...site, map: '/a=s3://x/y' }, files }), [a]);
  const wrong: [string, RegExp][] = [
    ['a=s3://x', /"a=s3:\/\/x" does not begin with a path/],
    ['/a/../b=s3://x', /does not begin with a path/],
    ['s3://key:sesame@x', /does not begin with a path/],
    ['/a', /does not begin with a path/],
    ['/a=b', /is not allowed/],
    ['/a=s3://key:sesame@x', /takes no user name/],
    ['/a=s3://x,/a/=s3://y', /has two mounts at \/a/],
    ['', /is not allowed/],
  ];
  for (const [map, pattern] of wrong) {
    const problems = problemsOf({ flags: { ...members, map } });
    assert.match(problems[0] ?? 'no problem', pattern, map);
    assert.ok(!problems.join('').includes('sesame'), map);
  }
  const put = { ...members, map: '/a=file:///x,/b=s3://y', uploadStrategy: 'single-put' };
  assert.match(problemsOf({ flags: put })[0] ?? '', /^upload-strategy .*with a file:/);
  for (const map of ['/=s3://x', 'cluster']) {
    assert.match(
      problemsOf({ flags: { ...enough, map } })[0] ?? '',
      /^ufs .*which --map is to tell/,
    );
  }
});

test('all problems are told at once, each with option, source, value and what is allowed', () => {
  const problems = problemsOf({
    flags: { pageSizeBytes: '5', config: '/c.yaml', logLevel: 'loud' },
    mountOptions: ['page_sise=1,uid'],
    properties: ['alluxio.cluster.nam=x', 'broken'],
    env: { ALLUXIO_FUSE_METRICS_PORT: '99999' },
    files: { '/c.yaml': 'uid: 1\ncluster-nam: x\nattr-timeout: 1y\n' },
  });
  const expected = [
    /^page_sise \(-o\): is not a mount option \(did you mean "page_size"\?\)$/,
    /^uid \(-o uid\): needs a value: a whole number/,
    /^--property: must be given as NAME=VALUE$/,
    /^alluxio.cluster.nam \(--property alluxio.cluster.nam\): .*did you mean "alluxio.cluster.name"/,
    /^cluster-nam \(\/c.yaml:2\): is not an option \(did you mean "cluster-name"\?\)$/,
    /^page-size \(--page-size\): "5" is too small; use a size from 4KB to 256MB/,
    /^attr-timeout \(\/c.yaml:3\): "1y" has the unknown unit "y"; use a duration from 0s to 365d/,
    /^log-level \(--log-level\): "loud" is not allowed; use one of trace, debug/,
    /^metrics-port \(ALLUXIO_FUSE_METRICS_PORT\): "99999" is too large; use a whole number/,
    /^etcd-hosts: must be given/,
    /^ufs: must be given/,
  ];
  assert.equal(problems.length, expected.length, problems.join('\n'));
  for (const pattern of expected) {
    assert.ok(
      problems.some((problem) => pattern.test(problem)),
      `${pattern} in\n${problems.join('\n')}`,
    );
  }
});

test('rules over several options are checked after all sources', () => {
  const cases: [Changes, RegExp | undefined][] = [
    [{ flags: { ...enough, memoryLimitBytes: '16MB', pageSizeBytes: '4MB' } }, undefined],
    [
      { flags: { ...enough, memoryLimitBytes: '32MB' }, mountOptions: ['page_size=16MB'] },
      /^memory-limit .*: "32MB" is too small for pages of 16MB \(-o page_size\); use at least 64MB$/,
    ],
    [{ flags: { ...enough, memoryLimitBytes: '15MB' } }, /memory-limit.*too small; use a size/],
    [
      { flags: { ...enough, uploadStrategy: 'single-put', ufs: 'file:///d' } },
      /^upload-strategy \(--upload-strategy\): "single-put" is not possible with a file:\/\/ root/,
    ],
    [
      { flags: { ...enough, posixAttributes: 'off' }, mountOptions: ['rw'] },
      /^posix-attributes \(--posix-attributes\): "off" is not possible/,
    ],
    [{ flags: enough, mountOptions: ['noread_only'] }, undefined],
    [{ flags: enough, mountOptions: ['rw'] }, undefined],
    [{ flags: enough, mountOptions: ['rw,ro'] }, undefined],
    [{ flags: enough, mountOptions: ['rw=1'] }, /^read-only \(-o rw\): "1" takes no value/],
    [
      { flags: { ...enough, requestTimeoutMs: '1' } },
      /^request-timeout \(--request-timeout\): "1s" is too short: --connect-timeout is 3s \(default\); use at least 3s, or/,
    ],
    [
      {
        flags: { ...enough, connectTimeoutMs: '2' },
        env: { ALLUXIO_FUSE_REQUEST_TIMEOUT: '1s' },
      },
      /^connect-timeout \(--connect-timeout\): "2s" is too long: --request-timeout is 1s \(ALLUXIO_FUSE_REQUEST_TIMEOUT\); use at most 1s/,
    ],
    [{ flags: { ...enough, requestTimeoutMs: '1', connectTimeoutMs: '1' } }, undefined],
    [{ flags: { ...enough, etcdUsername: 'u' } }, /^etcd-username .*needs a password/],
    [{ flags: enough, env: { ALLUXIO_FUSE_ETCD_PASSWORD: 'p' } }, /^etcd-username: must be given/],
    [{ flags: { ...enough, etcdCertFile: 'c' } }, /etcd-cert-file .*needs both/],
    [{ flags: { ...enough, etcdHosts: 'http://e', etcdCaFile: 'c' } }, /etcd-hosts .*is not https/],
    [{ flags: { ...enough, workerHosts: 'w' } }, /etcd-hosts .*excludes --worker-hosts/],
    [{ flags: { ...enough, ufs: '/data' } }, /^ufs .*"\/data" is not allowed; use a URI/],
    [{ flags: { ...enough, config: 'no' } }, /^config \(--config\): "no" cannot be read: ENOENT/],
  ];
  for (const [changes, pattern] of cases) {
    const problems = problemsOf(changes);
    if (pattern === undefined) assert.deepEqual(problems, []);
    else assert.match(problems[0] ?? 'no problem', pattern);
  }
});

test('the stronger of etcd and static workers counts', () => {
  const { config } = resolveConfig(
    inputs({
      flags: { ufs: 's3://b/', workerHosts: 'w1,w2:1:2', workerS3Port: '3' },
      env: { ALLUXIO_FUSE_ETCD_HOSTS: 'e' },
    }),
  );
  assert.deepEqual(
    [config.membershipSource, config.etcdHosts, config.mounts],
    ['static', [], [{ path: '/', ufs: 's3://b' }]],
  );
  assert.deepEqual(config.workerHosts, [
    { host: 'w1', httpPort: 28080, s3Port: 3 },
    { host: 'w2', httpPort: 1, s3Port: 2 },
  ]);
});

test('secrets are taken from files and environment, never from a command line, and never shown', () => {
  const flags = { ...enough, etcdUsername: 'u' };
  const asked = inputs({
    flags: { ...flags, etcdPasswordFile: 'pw' },
    env: { ALLUXIO_FUSE_ETCD_PASSWORD: 'weaker' },
    files: { '/cwd/pw': 'sesame\n' },
  });
  const { config } = resolveConfig(asked);
  assert.equal(config.etcdPassword, 'sesame');
  assert.doesNotMatch(JSON.stringify(redactConfig(config)), /sesame/);
  for (const style of ['table', 'json'] as const) {
    assert.doesNotMatch(formatConfig(inspectConfig(asked), style), /sesame|weaker/);
  }
  for (const changes of [
    { flags: { ...flags, etcdPassword: 'sesame' } },
    { flags, mountOptions: ['etcd_password=sesame'] },
    { flags, mountOptions: ['alluxio.etcd.password=sesame'] },
    { flags, properties: ['alluxio.etcd.password=sesame'] },
  ]) {
    const problems = problemsOf(changes);
    assert.match(
      problems.join('\n'),
      /not accepted on a command line.*--etcd-password-file, ALLUXIO_FUSE_ETCD_PASSWORD or a file/,
    );
    assert.doesNotMatch(problems.join('\n'), /sesame/);
  }
});

test('a password in a value that takes none is not repeated', () => {
  const wrong: [Changes, RegExp][] = [
    [
      { flags: { ...enough, etcdHosts: 'http://u:sesame@h' } },
      /^etcd-hosts \(--etcd-hosts\): "\(hidden\)@h" takes no user name or password.*--etcd-password-file/,
    ],
    [{ flags: { ...enough, etcdHosts: 'e1,u:se,sa@me@h,e2' } }, /"\(hidden\)@h,e2" takes no/],
    [{ flags: { ufs: 's3://b', workerHosts: 'u:sesame@h' } }, /^worker-hosts .*takes no user/],
    [{ flags: { etcdHosts: 'e', ufs: 's3://key:sesame@b' } }, /^ufs .*"\(hidden\)@b" takes no/],
    [{ flags: enough, source: 's3://key:sesame@b' }, /contradicts --ufs file:/],
    [
      { flags: { etcdHosts: 'e', ufs: 's3://key:sesame@b' }, source: 's3://b' },
      /contradicts --ufs \(hidden\)@b/,
    ],
    [
      { flags: { ...enough, config: '/c' }, files: { '/c': 'log-level: http://u:sesame@h' } },
      /^log-level/,
    ],
  ];
  for (const [changes, pattern] of wrong) {
    const problems = problemsOf(changes).join('\n');
    assert.match(problems, pattern);
    assert.doesNotMatch(problems, /sesame|sa@me|u:se/);
  }
});

test('TLS files make etcd hosts https', () => {
  const { config } = resolveConfig(
    inputs({ flags: { ufs: 'file:///d', etcdHosts: 'a,https://b:1', etcdCaFile: 'ca.pem' } }),
  );
  assert.deepEqual(config.etcdHosts, ['https://a:2379', 'https://b:1']);
  assert.equal(config.etcdCaFile, '/cwd/ca.pem');
});

test('words of fstab are understood', () => {
  const { config } = resolveConfig(
    inputs({
      source: 's3://bucket/data/',
      mountOptions: [
        'ro,_netdev,nofail,noauto,user,defaults,x-systemd.requires=network.target,comment=a b',
        'nosuid,nodev,noexec,noatime,noallow_other,etcd_hosts=a;b:1,attr_timeout=1.5',
      ],
    }),
  );
  assert.deepEqual(config.etcdHosts, ['http://a:2379', 'http://b:1']);
  assert.deepEqual(config.mountFlags, ['nosuid', 'nodev', 'noexec', 'noatime']);
  assert.deepEqual(
    [config.mounts[0]?.ufs, config.allowOther, config.readOnly, config.attrTimeoutMs],
    ['s3://bucket/data', false, true, 1500],
  );
});

test('the source argument is an under store or a name, and may not contradict', () => {
  const fsName = (source: string) => resolveConfig(inputs({ source, flags: enough })).config.fsName;
  assert.equal(fsName('training'), 'training');
  assert.equal(fsName('none'), 'alluxio');
  assert.equal(fsName('file:///data'), 'alluxio');
  assert.match(problemsOf({ source: '/data', flags: enough })[0] ?? '', /^SOURCE .*neither a URI/);
  assert.match(problemsOf({ source: 's3://b', flags: enough })[0] ?? '', /contradicts --ufs file/);
});

test('the file that Alluxio has is read where Alluxio has it', () => {
  const files = {
    '/opt/conf/alluxio-site.properties': [
      'alluxio.etcd.endpoints=http://e1:1,http://e2:2',
      'alluxio.dora.client.ufs.root=${alluxio.work.dir}/ufs',
      'alluxio.work.dir=file://${alluxio.home}',
      'alluxio.user.consistent.hash.virtual.node.count.per.worker=5',
      'alluxio.user.worker.selection.policy.consistent.hash.virtual.node.count.per.worker=7',
      'alluxio.user.worker.list.refresh.interval=2000',
      'alluxio.dora.client.ufs.fallback.enabled=false',
      'alluxio.etcd.username=',
      'some.other=thing',
    ].join('\n'),
    '/etc/alluxio/alluxio-site.properties': 'alluxio.cluster.name=other',
  };
  const { config } = resolveConfig(inputs({ env: { ALLUXIO_HOME: '/opt' }, files }));
  assert.deepEqual(config.etcdHosts, ['http://e1:1', 'http://e2:2']);
  assert.deepEqual(
    [
      config.mounts[0]?.ufs,
      config.virtualNodes,
      config.membershipRefreshMs,
      config.underStoreFallback,
    ],
    ['file:///opt/ufs', 7, 2000, 'off'],
  );
  assert.equal(config.clusterName, 'DefaultAlluxioCluster');
  const etc = resolveConfig(inputs({ flags: enough, files }));
  assert.equal(etc.config.clusterName, 'other');
  const broken = { '/p': 'alluxio.dora.client.ufs.root=${nobody}' };
  assert.match(
    problemsOf({ flags: { etcdHosts: 'e', siteProperties: '/p' }, files: broken }).join('\n'),
    /^ufs \(\/p:1 alluxio.dora.client.ufs.root\): "\$\{nobody\}" refers to/,
  );
});

test('relative paths of a file start at that file', () => {
  const { config } = resolveConfig(
    inputs({
      flags: { ...enough, config: 'etc/c.yaml', stateDir: 'state' },
      files: { '/cwd/etc/c.yaml': 'log-file: ../log/x.log\n' },
    }),
  );
  assert.equal(config.logFile, '/cwd/log/x.log');
  assert.equal(config.stateDir, '/cwd/state');
});

test('a misspelt variable is warned about, a foreign one is not', () => {
  const { warnings } = resolveConfig(
    inputs({
      flags: enough,
      env: { ALLUXIO_FUSE_PAGE_SZE: '1MB', ALLUXIO_FUSE_JAVA_OPTS: '-X', ALLUXIO_FUSE_UID: '' },
    }),
  );
  assert.deepEqual(warnings, [
    'ALLUXIO_FUSE_PAGE_SZE is not known and is ignored (did you mean ALLUXIO_FUSE_PAGE_SIZE?)',
  ]);
});

test('print-config shows every option with its value and source, also when something is wrong', () => {
  const inspection = inspectConfig(inputs({ flags: { uid: '12', gid: 'x' } }));
  const lines = formatConfig(inspection, 'table').split('\n');
  for (const { row } of optionList) {
    assert.equal(lines.filter((line) => line.startsWith(`${row.key} `)).length, 1, row.key);
  }
  assert.ok(lines.some((line) => /^uid +12 +--uid$/.test(line)));
  const json = JSON.parse(formatConfig(inspection, 'json')) as {
    options: Record<string, { value?: string; source: string; where: string }>;
    problems: string[];
  };
  assert.deepEqual(json.options['uid'], { value: '12', source: 'flag', where: '--uid' });
  assert.deepEqual(
    Object.keys(json.options),
    optionList.map(({ row }) => row.key),
  );
  assert.match(json.problems[0] ?? '', /^gid/);
});
