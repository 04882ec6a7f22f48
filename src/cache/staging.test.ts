import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { StagingDirectory } from './staging.ts';
import type { StagingFile } from './staging.ts';

const LIMIT = 1000;

function area(directory: string): { staging: StagingDirectory; usage: () => number[] } {
  let usage = [0, 0];
  const staging = new StagingDirectory({
    directory,
    limitBytes: LIMIT,
    prefix: 'life',
    onError: (error) => {
      throw error;
    },
    onUsage: (held, handedOver) => {
      usage = [held, handedOver];
    },
  });
  return { staging, usage: () => usage };
}

function created(file: ReturnType<StagingDirectory['create']>): StagingFile {
  assert.ok(typeof file !== 'string', JSON.stringify(file));
  return file;
}

test('tells how much is held, and how much of that was handed over', (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'staging-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const { staging, usage } = area(directory);
  const file = created(staging.create());
  assert.ok(staging.reserve(700));
  assert.equal(file.write(Buffer.alloc(700), 0), undefined);
  assert.deepEqual(usage(), [700, 0]);
  assert.ok(!staging.reserve(301));
  file.handOver(700);
  assert.deepEqual(usage(), [700, 700]);
  staging.released(file.name);
  staging.released('a name of nobody');
  assert.deepEqual(usage(), [0, 0]);
});

test('what an earlier life handed over counts against the limit until it is gone', (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'staging-'));
  t.after(() => rmSync(directory, { recursive: true }));
  writeFileSync(join(directory, 'old-1'), Buffer.alloc(600, 1));
  const { staging, usage } = area(directory);
  assert.deepEqual(usage(), [600, 600]);
  assert.ok(!staging.reserve(500));
  staging.released('old-1');
  assert.ok(staging.reserve(LIMIT));
  assert.deepEqual(usage(), [LIMIT, 0]);
});
