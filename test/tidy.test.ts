// The rules of the project that neither the compiler nor the linter knows. Every failure says what
// the rule is for.
import assert from 'node:assert/strict';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { dirname, join, normalize, relative } from 'node:path';
import { test } from 'node:test';
import { optionList } from '../src/config/index.ts';
import { METRICS } from '../src/telemetry/index.ts';

const byText = (a = '', b = ''): number => (a < b ? -1 : a > b ? 1 : 0);
const root = new URL('../../', import.meta.url).pathname;
/** Without its last slash, so that it is found however it is followed. */
const REPOSITORY = root.slice(0, -1);
const SKIPPED = /^(?:node_modules|dist.*|\.git)$/;

function filesUnder(directory: string): string[] {
  if (!existsSync(join(root, directory))) return [];
  return readdirSync(join(root, directory), { withFileTypes: true }).flatMap((entry) => {
    if (SKIPPED.test(entry.name)) return [];
    const path = join(directory, entry.name);
    if (entry.isDirectory()) return filesUnder(path);
    return entry.isFile() ? [path] : [];
  });
}

const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const sources = filesUnder('src').filter((path) => path.endsWith('.ts'));
const isTest = (path: string): boolean => /\.test\.ts$|(?:^|\/)testing\//.test(path);

interface Import {
  readonly target: string;
  readonly isTypeOnly: boolean;
}

const IMPORT =
  /^\s*(import|export)(\s+type)?\s(?:[^'";]*?\sfrom\s*)?'([^']+)'|\bimport\(\s*'([^']+)'\s*\)|\brequire\(\s*'([^']+)'\s*\)/gm;

/** `import { type A, type B }` counts as type-only too. */
function importsOf(path: string): Import[] {
  return [...read(path).matchAll(IMPORT)].map((match) => {
    const named = /\{([^}]*)\}/.exec(match[0])?.[1];
    const allTypes =
      named !== undefined &&
      named.trim() !== '' &&
      named.split(',').every((name) => name.trim() === '' || name.trim().startsWith('type '));
    return {
      target: match[3] ?? match[4] ?? match[5] ?? '',
      isTypeOnly: match[2] !== undefined || allTypes,
    };
  });
}

function layerOf(path: string): string {
  return path.split('/')[1] ?? '';
}

/** `types`: only `import type`. A folder that is not here may not exist. */
const LAYERS: Record<string, { readonly values: string[]; readonly types: string[] }> = {
  base: { values: [], types: [] },
  sys: { values: ['base'], types: [] },
  fuse: { values: ['base', 'sys'], types: [] },
  config: { values: ['base'], types: [] },
  // What it counts is told by interfaces of other layers; it never calls them.
  telemetry: { values: ['base'], types: ['cluster', 'config', 'vfs'] },
  cluster: { values: ['base'], types: [] },
  // A store implements the interface that the cluster layer declares.
  ufs: { values: ['base'], types: ['cluster'] },
  cache: { values: ['base', 'sys'], types: [] },
  store: { values: ['base', 'sys', 'cluster'], types: [] },
  vfs: { values: ['base'], types: ['cache', 'cluster', 'store'] },
  client: { values: ['base', 'cluster', 'ufs', 'store', 'config'], types: [] },
  devcluster: { values: ['base', 'cluster'], types: [] },
  daemon: {
    values: [
      'base',
      'sys',
      'fuse',
      'config',
      'telemetry',
      'cluster',
      'ufs',
      'cache',
      'store',
      'vfs',
      'client',
      'devcluster',
    ],
    types: [],
  },
  cli: { values: ['base', 'client', 'daemon', 'config', 'devcluster'], types: [] },
};

/** Files that a folder may import against its rule, with the reason. */
const FILE_EXCEPTIONS: Record<string, string[]> = {
  // Under stores fail with the error class that the interface they implement asks for.
  ufs: ['src/cluster/types.ts'],
};

test('folders import only the folders that the design allows', () => {
  const wrong: string[] = [];
  for (const path of sources) {
    const layer = layerOf(path);
    const rule = LAYERS[layer];
    assert.ok(rule, `${path}: src/${layer} is not a folder of the design`);
    for (const { target, isTypeOnly } of importsOf(path)) {
      if (!target.startsWith('.')) continue;
      const file = normalize(join(dirname(path), target));
      if (!file.startsWith('src/')) wrong.push(`${path} imports ${target} from outside src`);
      const other = layerOf(file);
      if (other === layer) continue;
      const isAllowed =
        rule.values.includes(other) ||
        (isTypeOnly && rule.types.includes(other)) ||
        (isTest(path) && other !== 'daemon' && other !== 'cli') ||
        (FILE_EXCEPTIONS[layer] ?? []).includes(file);
      if (!isAllowed) {
        const how = rule.types.includes(other) ? 'values (types are allowed)' : 'anything';
        wrong.push(`${path}: src/${layer} may not import ${how} from src/${other}`);
      }
    }
  }
  assert.deepEqual(wrong, []);
});

/** One folder knows a package, so that it can be replaced there. */
const PACKAGES: Record<string, string[]> = {
  undici: ['src/cluster/', 'src/ufs/'],
  etcd3: ['src/cluster/', 'src/devcluster/'],
  koffi: ['src/sys/'],
  'fuse-native': ['src/fuse/native/'],
  'prom-client': ['src/telemetry/'],
  pino: ['src/telemetry/'],
  commander: ['src/cli/'],
  'cli-progress': ['src/cli/'],
  // Bounded maps are wanted everywhere.
  'lru-cache': ['src/'],
  yaml: ['src/config/'],
  'fast-xml-parser': ['src/cluster/', 'src/ufs/'],
  '@aws-sdk/client-s3': ['src/ufs/s3/'],
  re2js: ['src/cluster/mapping/', 'src/client/load.ts'],
  '@node-rs/crc32': ['src/cache/disk/'],
};

test('packages are imported only in their own folders', () => {
  const wrong: string[] = [];
  const builtins = new Set(builtinModules);
  for (const path of sources) {
    for (const { target } of importsOf(path)) {
      if (target.startsWith('.')) continue;
      if (target.startsWith('node:')) {
        if (layerOf(path) === 'vfs' && !isTest(path)) {
          wrong.push(`${path} imports ${target}: the core does no I/O, so that it can be replayed`);
        }
        continue;
      }
      const name = target
        .split('/')
        .slice(0, target.startsWith('@') ? 2 : 1)
        .join('/');
      if (builtins.has(name) && PACKAGES[name] === undefined) {
        wrong.push(`${path} imports ${target}: write node:${target}`);
        continue;
      }
      if (name === 'fast-check' && isTest(path)) continue;
      const folders = PACKAGES[name];
      if (folders === undefined) wrong.push(`${path} imports ${name}, which has no folder yet`);
      else if (!isTest(path) && !folders.some((folder) => path.startsWith(folder))) {
        wrong.push(`${path} imports ${name}, which belongs to ${folders.join(' and ')}`);
      }
    }
  }
  assert.deepEqual(wrong, []);
});

/** Where byte layouts are known. Everything above sees typed values. */
const BYTE_FOLDERS = ['src/fuse/wire/', 'src/sys/'];
/** Each with the reason why it reads or writes bytes itself. */
const BYTE_EXCEPTIONS: Record<string, string> = {
  'src/cluster/ring': 'hash functions and the keys that they hash',
  'src/cluster/worker-identity': 'the bytes of an identity, hashed by the ring',
  'src/base/hash': 'hash functions',
  'src/fuse/device': 'lengths of raw messages between buffers',
  'src/cache/disk/records': 'the layout of the index of a cache directory',
};

test('byte offsets are known only to the wire folders', () => {
  const pattern =
    /\bnew DataView\b|\.(?:read|write)(?:U?Int(?:8|16|32)|Big(?:U?)Int64|Float|Double)(?:LE|BE)?\(|\.[gs]et(?:Ui|I)nt(?:8|16|32)\(/;
  const wrong = sources.filter(
    (path) =>
      !isTest(path) &&
      !BYTE_FOLDERS.some((folder) => path.startsWith(folder)) &&
      !Object.keys(BYTE_EXCEPTIONS).some((prefix) => path.startsWith(prefix)) &&
      pattern.test(read(path)),
  );
  assert.deepEqual(wrong, [], 'decode in src/fuse/wire, or name the file and the reason above');
});

const everything = filesUnder('.').filter(
  (path) => path !== 'package-lock.json' && path !== 'LICENSE' && !path.endsWith('tidy.test.ts'),
);

test('nothing is left to do in a comment', () => {
  const marker = new RegExp(
    `\\b(?:${['TO', 'FIX', 'X'].map((a, i) => a + ['DO', 'ME', 'XX'][i]).join('|')})\\b`,
  );
  const wrong = everything.filter((path) => marker.test(read(path)));
  assert.deepEqual(wrong, [], 'do it, or file it as an issue');
});

test('nothing depends on one machine or on where packages come from', () => {
  const named = everything.filter((path) => read(path).includes(REPOSITORY));
  assert.deepEqual(named, [], 'name files relative to the repository');
  assert.ok(!read('package-lock.json').includes('"resolved"'), 'lock versions, not addresses');
});

test('no file outgrows its idea', () => {
  const wrong = [...sources, ...filesUnder('test'), ...filesUnder('bench')]
    .filter((path) => path.endsWith('.ts'))
    .map((path) => ({ path, lines: read(path).split('\n').length }))
    // 150 is the guide, 400 the exception. Past 600 the file holds more than one idea; a suite of
    // facts in a row may be longer.
    .filter(({ path, lines }) => lines > (path.startsWith('test/') ? 800 : 600));
  assert.deepEqual(wrong, [], 'split the idea, not the file');
});

test('every metric is in docs/metrics.md and every metric there exists', () => {
  const page = read('docs/metrics.md');
  const documented = [...page.matchAll(/^\| `(alluxio_[a-z0-9_]+)` +\|/gm)].map((row) => row[1]);
  assert.deepEqual(
    documented.sort(byText),
    Object.values(METRICS)
      .map(({ name }) => name)
      .sort(byText),
  );
  for (const { name, type, labels, help, stability } of Object.values(METRICS)) {
    const shownLabels = labels.map((label) => `\`${label}\``).join(', ') || '–';
    const row = `| \`${name}\` | ${type} | ${shownLabels} | ${stability} | ${help} |`;
    assert.ok(page.replace(/ +/g, ' ').includes(row), `docs/metrics.md needs the row\n${row}`);
  }
});

test('metric names are written in one place', () => {
  const names = Object.values(METRICS).map(({ name }) => name as string);
  const wrong = sources.filter(
    (path) =>
      !isTest(path) &&
      !path.startsWith('src/telemetry/metrics-table') &&
      names.some((name) => read(path).includes(`'${name}'`)),
  );
  assert.deepEqual(wrong, [], 'use the key of the table');
});

test('every option is in docs/options.md under every name that it has', () => {
  const page = read('docs/options.md');
  for (const { row } of optionList) {
    assert.ok(page.includes(`### ${row.key}\n`), `docs/options.md has no section ${row.key}`);
    for (const property of row.properties ?? []) {
      assert.ok(page.includes(`\`${property}\``), `docs/options.md does not name ${property}`);
    }
  }
  const sections = [...page.matchAll(/^### ([a-z0-9-]+)$/gm)].map((match) => match[1]);
  const known = new Set(optionList.map(({ row }) => row.key));
  assert.deepEqual(
    sections.filter((section) => section !== undefined && !known.has(section)),
    [],
  );
});

test('environment variables are read through the table of options', () => {
  const known = new Set(
    optionList.map(({ row }) => `ALLUXIO_FUSE_${row.key.toUpperCase().replaceAll('-', '_')}`),
  );
  const wrong: string[] = [];
  for (const path of sources.filter((source) => !isTest(source))) {
    for (const [name] of read(path).matchAll(/\bALLUXIO_FUSE_[A-Z0-9_]+[A-Z0-9]\b/g)) {
      if (!known.has(name)) wrong.push(`${path}: ${name}`);
    }
  }
  assert.deepEqual(wrong, [], 'an environment variable that no option documents');
});

test('signals are joined so that the long-lived ones forget it', () => {
  const named = new RegExp(['AbortSignal', 'any\\('].join('\\.'));
  const wrong = sources.filter((path) => named.test(read(path)));
  assert.deepEqual(wrong, [], 'Node keeps a part of each for good: use LinkedSignal');
});

test('bin/test runs every test file', () => {
  const files = [...sources, ...filesUnder('test')];
  // Files that hold tests but are not named as such would never run.
  const unnamed = files.filter(
    (path) =>
      path.endsWith('.ts') && !path.endsWith('.test.ts') && /^(?:test|it)\(/m.test(read(path)),
  );
  assert.deepEqual(unnamed, [], 'a file with tests ends in .test.ts');
  // The build puts all of them where bin/test looks, and bin/test looks in no other place.
  const here = relative(root, new URL('.', import.meta.url).pathname).split('/')[0] ?? '';
  const notBuilt = files
    .filter((path) => path.endsWith('.test.ts'))
    .filter((path) => !existsSync(join(root, here, path.replace(/\.ts$/, '.js'))));
  assert.deepEqual(notBuilt, []);
  assert.deepEqual(
    everything.filter((path) => path.endsWith('.test.ts') && !/^(?:src|test)\//.test(path)),
    [],
  );
});
