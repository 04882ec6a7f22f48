// What is in deploy/ is copied by people and run on their machines: it must parse, name options that
// exist, and hold what a mount in a cluster cannot do without.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseAllDocuments } from 'yaml';
import { inspectConfig, optionList } from '../src/config/index.ts';

const root = new URL('../../', import.meta.url).pathname;
const deploy = join(root, 'deploy');

function filesUnder(directory: string): string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

function documentsOf(file: string): unknown[] {
  const documents = parseAllDocuments(readFileSync(file, 'utf8'));
  assert.ok(Array.isArray(documents), `${file} is empty`);
  return documents.map((document) => {
    assert.deepEqual(document.errors, [], file);
    return document.toJS() as unknown;
  });
}

/** Walks into parsed YAML; a missing step is undefined, so that the assertion names what is missing. */
function at(value: unknown, ...steps: (string | number)[]): unknown {
  let here = value;
  for (const step of steps) {
    if (typeof here !== 'object' || here === null) return undefined;
    here = (here as Record<string | number, unknown>)[step];
  }
  return here;
}

const kubernetes = (name: string): unknown => documentsOf(join(deploy, 'kubernetes', name))[0];

function problemsOf(yamlText: string): readonly unknown[] {
  return inspectConfig({
    mountpoint: '/mnt/alluxio',
    source: undefined,
    flags: { config: '/etc/alluxio-fuse.yaml' },
    mountOptions: [],
    properties: [],
    env: {},
    cwd: '/',
    uid: 0,
    gid: 0,
    readText: (path) => {
      if (path === '/etc/alluxio-fuse.yaml') return yamlText;
      throw Object.assign(new Error('none'), { code: 'ENOENT' });
    },
  }).problems;
}

test('every YAML file of deploy/ parses', () => {
  const files = filesUnder(deploy).filter((file) => /\.ya?ml$/.test(file));
  assert.ok(files.length >= 4);
  for (const file of files) assert.ok(documentsOf(file).length > 0);
});

test('the example configurations are accepted by the program', () => {
  const inConfigMap = at(kubernetes('configmap.yaml'), 'data', 'alluxio-fuse.yaml');
  assert.ok(typeof inConfigMap === 'string');
  assert.deepEqual(problemsOf(inConfigMap), []);
  assert.deepEqual(problemsOf(readFileSync(join(deploy, 'alluxio-fuse.yaml'), 'utf8')), []);
  // The check itself can fail.
  assert.equal(problemsOf(`${inConfigMap}\nno-such-option: 1\n`).length, 1);
});

test('the DaemonSet shares its mount with the node, is probed, and unmounts when it goes', () => {
  const daemonSet = kubernetes('daemonset.yaml');
  assert.equal(at(daemonSet, 'kind'), 'DaemonSet');
  const pod = at(daemonSet, 'spec', 'template', 'spec');
  assert.deepEqual(
    at(daemonSet, 'spec', 'selector', 'matchLabels'),
    at(daemonSet, 'spec', 'template', 'metadata', 'labels'),
  );
  const container = at(pod, 'containers', 0);
  const mounts = at(container, 'volumeMounts');
  assert.ok(Array.isArray(mounts));
  assert.ok(mounts.some((mount) => at(mount, 'mountPropagation') === 'Bidirectional'));
  assert.ok(mounts.some((mount) => at(mount, 'mountPath') === '/dev/fuse'));
  // Kubernetes refuses Bidirectional to a container that is not privileged.
  assert.equal(at(container, 'securityContext', 'privileged'), true);
  assert.equal(at(container, 'livenessProbe', 'httpGet', 'path'), '/health');
  assert.equal(at(container, 'readinessProbe', 'httpGet', 'path'), '/ready');
  assert.match(String(at(container, 'lifecycle', 'preStop', 'exec', 'command', 2)), /umount/);
  assert.ok(Number(at(pod, 'terminationGracePeriodSeconds')) > 30);
  assert.match(String(at(pod, 'initContainers', 0, 'command', 2)), /umount -l/);
  const volumes = (at(pod, 'volumes') as object[]).map((volume) => at(volume, 'name'));
  for (const mount of mounts) assert.ok(volumes.includes(at(mount, 'name')));
});

test('the training pod sees mounts that come after it', () => {
  const mounts = at(kubernetes('training-pod.yaml'), 'spec', 'containers', 0, 'volumeMounts');
  assert.ok(Array.isArray(mounts));
  assert.equal(at(mounts[0], 'mountPropagation'), 'HostToContainer');
});

test('flags in deploy/, the Dockerfile and the README exist', () => {
  const flags = new Set([
    ...optionList.map(({ row }) => `--${row.key}`),
    '--foreground',
    '--print-config',
    '--property',
    '--json',
    '--lazy',
    '--timeout',
  ]);
  const files = [...filesUnder(deploy), join(root, 'Dockerfile'), join(root, 'README.md')];
  let seen = 0;
  for (const file of files) {
    for (const line of readFileSync(file, 'utf8').split('\n')) {
      const command = /alluxio-fuse (?:mount|umount|status) (.*)|^ *- (--.*)$/.exec(line);
      for (const [flag] of (command?.[1] ?? command?.[2] ?? '').matchAll(
        /(?<!\S)--[a-z][a-z0-9-]+/g,
      )) {
        seen++;
        assert.ok(flags.has(flag), `${file}: ${flag} is no option`);
      }
    }
  }
  assert.ok(seen > 5, 'found hardly any flag: the pattern is wrong');
});

test('fstab options and unit file name what exists', () => {
  const line = readFileSync(join(deploy, 'fstab.example'), 'utf8')
    .split('\n')
    .find((candidate) => /^[^#\s]/.test(candidate));
  const [source, , type, list] = (line ?? '').split(/\s+/);
  assert.equal(type, 'alluxio');
  const { problems } = inspectConfig({
    mountpoint: '/mnt/alluxio',
    source,
    flags: {},
    mountOptions: [list ?? ''],
    properties: [],
    env: {},
    cwd: '/',
    uid: 0,
    gid: 0,
    readText: () => {
      throw Object.assign(new Error('none'), { code: 'ENOENT' });
    },
  });
  assert.deepEqual(problems, []);
});
