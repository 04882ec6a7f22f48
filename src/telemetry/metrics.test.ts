import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ClusterStatus } from '../cluster/cluster-client.ts';
import { COUNTERS, Counters, LATENCY_BUCKETS_MS, OPERATIONS } from '../vfs/counters.ts';
import { clusterEventsFor, registerClusterStatus } from './cluster-metrics.ts';
import { registerKernelFigures } from './kernel-metrics.ts';
import { METRICS } from './metrics-table.ts';
import { Metrics } from './metrics.ts';

async function linesOf(metrics: Metrics, name: string): Promise<string[]> {
  return (await metrics.text()).split('\n').filter((line) => line.startsWith(name));
}

const worker = 'worker-1';

test('the registry holds every metric of the table once, under its name', async () => {
  const text = await new Metrics().text();
  for (const { name, type } of Object.values(METRICS)) {
    assert.equal(text.split(`# TYPE ${name} ${type}\n`).length, 2, name);
  }
});

test('calls to workers are counted as the seed system does', async () => {
  const metrics = new Metrics();
  const events = clusterEventsFor(metrics);
  const call = { method: 's3', worker, success: true, latencyMs: 30, bytes: 7, outcome: 'ok' };
  events.workerCall({ ...call, method: 's3' });
  events.workerCall({
    ...call,
    method: 's3',
    success: false,
    latencyMs: 700,
    outcome: 'unavailable',
  });
  const latency = await linesOf(metrics, 'alluxio_http_server_call_latency_ms_bucket');
  assert.deepEqual(
    latency.filter((line) => line.includes('success="true"')).map((line) => line.split(' ')[1]),
    ['0', '1', '1', '1', '1'],
  );
  assert.deepEqual(
    latency.filter((line) => line.includes('success="false"')).map((line) => line.split(' ')[1]),
    ['0', '0', '0', '0', '1'],
  );
  assert.deepEqual(await linesOf(metrics, 'alluxio_http_server_result_total'), [
    'alluxio_http_server_result_total{method="s3",state="ok"} 1',
    'alluxio_http_server_result_total{method="s3",state="unavailable"} 1',
  ]);
  assert.deepEqual(await linesOf(metrics, 'alluxio_fuse_worker_failures_total'), [
    'alluxio_fuse_worker_failures_total{worker="worker-1"} 1',
  ]);
});

test('every event of the cluster reaches a metric', async () => {
  const metrics = new Metrics();
  const events = clusterEventsFor(metrics);
  events.bytesRead('page', 100);
  events.fallback('owner-dead');
  events.fallbackLimited('waited', 25);
  events.redirect('followed', worker, '10.0.0.1');
  events.retry('page', 'timeout');
  events.breaker(worker, 'open');
  events.inexpressible('backslash');
  events.pageSizeMismatch('4 MiB');
  events.ufsRootMismatch('file:///b');
  events.virtualNodesSwitched(2000, 5);
  events.virtualNodesContradicted(5);
  events.membership('read-ok', 3);
  const text = await metrics.text();
  for (const line of [
    'alluxio_fuse_read_bytes_total{source="page"} 100',
    'alluxio_fuse_under_store_fallbacks_total{reason="owner-dead"} 1',
    'alluxio_fuse_under_store_fallbacks_limited_total{outcome="waited"} 1',
    'alluxio_fuse_under_store_fallback_wait_ms_total 25',
    'alluxio_fuse_redirects_total{outcome="followed"} 1',
    'alluxio_fuse_retries_total{method="page",code="timeout"} 1',
    'alluxio_fuse_breaker_transitions_total{state="open"} 1',
    'alluxio_fuse_inexpressible_names_total{reason="backslash"} 1',
    'alluxio_fuse_page_size_mismatches_total 1',
    'alluxio_fuse_ufs_root_mismatches_total 1',
    'alluxio_fuse_ring_virtual_node_switches_total 1',
    'alluxio_fuse_ring_contradictions_total 1',
    'alluxio_fuse_membership_events_total{event="read-ok"} 1',
    'alluxio_worker_membership_refresh_count_total 1',
  ]) {
    assert.ok(text.includes(`\n${line}\n`), line);
  }
});

test('a cluster of a thousand sick workers makes a bounded number of series', async () => {
  const metrics = new Metrics();
  const events = clusterEventsFor(metrics);
  for (let i = 0; i < 1000; i++) {
    events.workerCall({
      method: 'stat',
      worker: `worker-${i}`,
      success: false,
      latencyMs: 1,
      bytes: 0,
      outcome: 'timeout',
    });
  }
  const lines = await linesOf(metrics, 'alluxio_fuse_worker_failures_total{');
  assert.equal(lines.length, 257);
  assert.ok(lines.includes('alluxio_fuse_worker_failures_total{worker="other"} 744'));
});

test('figures of the kernel thread are read at the scrape, failures apart', async () => {
  const metrics = new Metrics();
  const counters = new Counters();
  registerKernelFigures(metrics, {
    operations: OPERATIONS,
    bucketsMs: LATENCY_BUCKETS_MS,
    operation: (name, outcome) => counters.operation(name, outcome),
    get: (name) => counters.get(name),
  });
  COUNTERS.forEach((name, index) => counters.set(name, index + 1));
  counters.observe('Read', 0.5, false);
  counters.observe('Read', 20, false);
  counters.observe('Read', 9999, false);
  counters.observe('Lookup', 0.05, true);
  const buckets = await linesOf(metrics, 'alluxio_fuse_call_latency_ms_bucket');
  assert.deepEqual(
    buckets
      .filter((line) => line.includes('{method="Fuse.Read",success="true"'))
      .map((line) => [/le="([^"]*)"/.exec(line)?.[1], line.split(' ')[1]]),
    [
      ['0.1', '0'],
      ['1', '1'],
      ['10', '1'],
      ['40', '2'],
      ['160', '2'],
      ['640', '2'],
      ['5000', '2'],
      ['+Inf', '3'],
    ],
  );
  assert.deepEqual(await linesOf(metrics, 'alluxio_fuse_call_latency_ms_sum'), [
    'alluxio_fuse_call_latency_ms_sum{method="Fuse.Lookup",success="false"} 0.05',
    'alluxio_fuse_call_latency_ms_sum{method="Fuse.Read",success="true"} 10019.5',
  ]);
  assert.deepEqual(await linesOf(metrics, 'alluxio_fuse_result_total'), [
    'alluxio_fuse_result_total{method="Fuse.Lookup",state="FAILURE"} 1',
    'alluxio_fuse_result_total{method="Fuse.Read",state="SUCCESS"} 3',
  ]);
  const value = (name: (typeof COUNTERS)[number]) => COUNTERS.indexOf(name) + 1;
  const text = await metrics.text();
  for (const [line, name] of [
    ['alluxio_cached_data_read_bytes_total', 'hitBytes'],
    ['alluxio_missed_data_read_bytes_total', 'missBytes'],
    ['alluxio_fuse_open_files', 'openFiles'],
    ['alluxio_fuse_slab_slots{state="ready"}', 'slotsReady'],
    ['alluxio_fuse_requests_in_flight', 'requestsPending'],
  ] as const) {
    assert.ok(text.includes(`\n${line} ${value(name)}\n`), `${line} from ${name}`);
  }
  // A second scrape shows the same values, not their sum.
  assert.equal(await metrics.text(), text);
});

test('buckets other than those that are filled are refused', () => {
  const figures = new Counters();
  assert.throws(
    () =>
      registerKernelFigures(new Metrics(), {
        operations: OPERATIONS,
        bucketsMs: [1, 2],
        operation: (name, outcome) => figures.operation(name, outcome),
        get: (name) => figures.get(name),
      }),
    /buckets differ/,
  );
});

test('the state of the cluster is shown as it is at the scrape, and not before there is one', async () => {
  const metrics = new Metrics();
  let status: ClusterStatus | undefined;
  registerClusterStatus(metrics, () => status);
  assert.deepEqual(await linesOf(metrics, 'alluxio_fuse_membership_workers'), []);
  const one = {
    host: 'h',
    httpPort: 1,
    s3Port: 2,
    personality: 'oss',
    lastError: undefined,
  } as const;
  status = {
    source: 'etcd',
    view: { workers: [], generation: 4 },
    viewAgeMs: 2500,
    virtualNodes: 5,
    virtualNodesFrom: 'learned',
    pageSizeBytes: 1024,
    pageSizeMismatch: undefined,
    ufsRootMismatch: undefined,
    underStoreFallback: 'off',
    workers: [
      { ...one, id: 'a', breaker: 'open' },
      { ...one, id: 'b', breaker: 'closed' },
    ],
  };
  const text = await metrics.text();
  for (const line of [
    'alluxio_fuse_membership_age_seconds 2.5',
    'alluxio_fuse_membership_generation 4',
    'alluxio_fuse_membership_workers 0',
    'alluxio_fuse_ring_virtual_nodes{from="learned"} 5',
    'alluxio_fuse_breakers{state="open"} 1',
    'alluxio_fuse_breakers{state="half-open"} 0',
  ]) {
    assert.ok(text.includes(`\n${line}\n`), line);
  }
});
