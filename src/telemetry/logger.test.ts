import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { createLogger } from './logger.ts';

const directory = mkdtempSync(join(tmpdir(), 'alluxio-fuse-log-'));
after(() => rmSync(directory, { recursive: true }));

/** Polls, because lines are written behind the caller's back. */
async function linesOf(file: string, count: number): Promise<Record<string, unknown>[]> {
  const endMs = performance.now() + 5000;
  for (;;) {
    let text = '';
    try {
      text = readFileSync(file, 'utf8');
    } catch {
      // Not made yet.
    }
    const lines = text.split('\n').filter((line) => line !== '');
    if (lines.length >= count) {
      return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    }
    assert.ok(performance.now() < endMs, `${count} lines expected in ${file}, found: ${text}`);
    await delay(5);
  }
}

test('lines are JSON with level name, time and fields, from the level on', async () => {
  const file = join(directory, 'made', 'level.log');
  const logger = createLogger({ level: 'info', file, base: { component: 'daemon' } });
  logger.debug({}, 'not said');
  logger.info({ path: '/a' }, 'said');
  logger.child({ worker: 'w1' }).error({ error: new Error('no') }, 'failed');
  const [first, second] = await linesOf(file, 2);
  assert.equal(first?.['level'], 'info');
  assert.equal(first['msg'], 'said');
  assert.equal(first['path'], '/a');
  assert.equal(first['component'], 'daemon');
  assert.equal(first['pid'], process.pid);
  assert.ok(!Number.isNaN(Date.parse(String(first['time']))));
  assert.equal(second?.['worker'], 'w1');
  assert.equal((second['error'] as { message: string }).message, 'no');
});

test('secrets reach the file neither in fields nor in messages', async () => {
  const file = join(directory, 'secret.log');
  const logger = createLogger({ level: 'info', file, secrets: ['s3cr3t-pw'] });
  logger.info({ etcdPassword: 's3cr3t-pw', note: 'it is s3cr3t-pw' }, 'using s3cr3t-pw');
  await linesOf(file, 1);
  assert.doesNotMatch(readFileSync(file, 'utf8'), /s3cr3t-pw/);
});

test('after a rotation SIGHUP makes the log go on under its name', async () => {
  const file = join(directory, 'rotate.log');
  const logger = createLogger({ level: 'info', file });
  const stop = logger.reopenOnHangup();
  try {
    logger.info({}, 'before');
    await linesOf(file, 1);
    renameSync(file, `${file}.1`);
    process.kill(process.pid, 'SIGHUP');
    // The signal arrives on a later turn of the event loop; until the file is back, lines go to the old one.
    const endMs = performance.now() + 5000;
    for (let round = 0; ; round++) {
      logger.info({ round }, 'after');
      logger.flush();
      await delay(5);
      try {
        if (readFileSync(file, 'utf8').includes('after')) break;
      } catch {
        // Not reopened yet.
      }
      assert.ok(performance.now() < endMs, 'the log was not reopened');
    }
    assert.match(readFileSync(`${file}.1`, 'utf8'), /before/);
  } finally {
    stop();
  }
  assert.equal(process.listenerCount('SIGHUP'), 0);
});

test('flush puts every line on disk before the process goes', async () => {
  const file = join(directory, 'flush.log');
  const logger = createLogger({ level: 'info', file });
  logger.info({}, 'opened');
  await linesOf(file, 1);
  for (let line = 0; line < 100; line++) logger.info({ line }, 'line');
  logger.flush();
  assert.equal(readFileSync(file, 'utf8').trimEnd().split('\n').length, 101);
});
