import assert from 'node:assert/strict';
import { createServer, connect } from 'node:net';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { ManualClock } from '../base/clock.ts';
import { silentLogger } from '../base/logger.ts';
import { HeartbeatWatch } from './heartbeat.ts';
import { startTelemetryServer } from './http-server.ts';
import type { TelemetryServer, TelemetryServerOptions } from './http-server.ts';
import { Metrics } from './metrics.ts';

async function start(
  t: TestContext,
  options: Partial<TelemetryServerOptions> = {},
): Promise<{ server: TelemetryServer; url: string }> {
  const server = await startTelemetryServer({
    host: '127.0.0.1',
    port: 0,
    metrics: new Metrics(),
    health: () => ({ ok: true, detail: {} }),
    ready: () => ({ ok: true, detail: {} }),
    logger: silentLogger,
    ...options,
  });
  assert.ok(server);
  t.after(() => server.close());
  return { server, url: `http://127.0.0.1:${server.port}` };
}

test('/metrics answers in the text format of Prometheus', async (t) => {
  const { url } = await start(t);
  const response = await fetch(`${url}/metrics`);
  assert.equal(response.status, 200);
  assert.match(response.headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4/);
  assert.match(await response.text(), /^# TYPE alluxio_fuse_open_files gauge$/m);
});

test('/health and /ready say what their checks say', async (t) => {
  const { url } = await start(t, {
    health: () => ({ ok: true, detail: { heartbeatAgeMs: 3 } }),
    ready: async () => ({ ok: false, detail: { reason: 'no worker is known' } }),
  });
  const health = await fetch(`${url}/health?verbose`);
  assert.equal(health.status, 200);
  assert.deepEqual(await health.json(), { ok: true, heartbeatAgeMs: 3 });
  const ready = await fetch(`${url}/ready`);
  assert.equal(ready.status, 503);
  assert.deepEqual(await ready.json(), { ok: false, reason: 'no worker is known' });
});

test('a check that hangs or throws is an answer too', async (t) => {
  const { url } = await start(t, {
    deadlineMs: 50,
    health: () => new Promise(() => undefined),
    ready: () => {
      throw new Error('broken check');
    },
  });
  const health = await fetch(`${url}/health`);
  assert.equal(health.status, 503);
  assert.equal(await health.text(), 'No answer within 50 ms\n');
  const ready = await fetch(`${url}/ready`);
  assert.equal(ready.status, 500);
  assert.equal(await ready.text(), 'broken check\n');
});

test('other paths are 404, other methods 405, HEAD has no body', async (t) => {
  const { url } = await start(t);
  assert.equal((await fetch(`${url}/`)).status, 404);
  assert.equal((await fetch(`${url}/metrics/x`)).status, 404);
  const post = await fetch(`${url}/metrics`, { method: 'POST', body: 'x' });
  assert.equal(post.status, 405);
  assert.equal(post.headers.get('allow'), 'GET, HEAD');
  const head = await fetch(`${url}/health`, { method: 'HEAD' });
  assert.equal(head.status, 200);
  assert.equal(await head.text(), '');
});

test('a client that says nothing is put out at the deadline', async (t) => {
  const { server } = await start(t, { deadlineMs: 100 });
  const socket = connect(server.port, '127.0.0.1');
  await new Promise((resolve) => {
    socket.on('error', () => undefined);
    socket.write('GET /metrics HTTP/1.1\r\n');
    socket.on('close', resolve);
    socket.resume();
  });
});

test('a port that is taken is a warning that names the options, not a failure', async (t) => {
  const other = createServer();
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
  t.after(() => other.close());
  const address = other.address();
  assert.ok(typeof address === 'object' && address !== null);
  const warnings: string[] = [];
  const server = await startTelemetryServer({
    host: '127.0.0.1',
    port: address.port,
    metrics: new Metrics(),
    health: () => ({ ok: true, detail: {} }),
    ready: () => ({ ok: true, detail: {} }),
    logger: { ...silentLogger, warn: (_fields, message) => warnings.push(message) },
  });
  assert.equal(server, undefined);
  assert.equal(warnings.length, 1);
  assert.match(warnings[0] ?? '', /--metrics-port/);
});

test('a heartbeat that stands still is unhealthy, one that moves again is healthy', () => {
  const clock = new ManualClock();
  let beats = 0;
  const watch = new HeartbeatWatch({ read: () => beats, clock, maxAgeMs: 1000 });
  clock.advance(900);
  assert.equal(watch.report().ok, true);
  clock.advance(200);
  assert.deepEqual(watch.report(), { ok: false, detail: { heartbeatAgeMs: 1100 } });
  beats++;
  assert.equal(watch.report().ok, true);
});
