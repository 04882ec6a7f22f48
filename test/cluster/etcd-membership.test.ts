/** Membership against a real etcd that is killed, compacted, emptied and fed with junk. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Etcd3 } from 'etcd3';
import { systemClock } from '../../src/base/clock.ts';
import type { Logger } from '../../src/base/logger.ts';
import type { MembershipEvent } from '../../src/cluster/cluster-events.ts';
import { ignoredEvents } from '../../src/cluster/cluster-events.ts';
import type { EtcdMembershipOptions } from '../../src/cluster/membership/index.ts';
import { EtcdMembership } from '../../src/cluster/membership/index.ts';
import { ClusterError } from '../../src/cluster/types.ts';
import { etcdMissing, EtcdServer } from '../support/etcd-server.ts';
import type { EntryWorker } from '../support/worker-entries.ts';
import { entryValue, liveKey, putWorker } from '../support/worker-entries.ts';

const skip = etcdMissing();
const WAIT_MS_MAX = 30_000;
let etcd: EtcdServer;

before(async () => {
  if (skip === false) etcd = await EtcdServer.start();
});

after(async () => {
  if (skip === false) await etcd.close();
});

function worker(n: number): EntryWorker {
  const identifier = n.toString(16).padStart(32, '0');
  return { host: `10.0.0.${n}`, httpPort: 28_080, identifier };
}

async function until(what: string, condition: () => boolean): Promise<void> {
  const deadlineMs = performance.now() + WAIT_MS_MAX;
  while (!condition()) {
    assert.ok(performance.now() < deadlineMs, `Waited too long: ${what}`);
    await delay(20);
  }
}

interface Observed {
  readonly membership: EtcdMembership;
  readonly seen: MembershipEvent[];
  readonly lines: string[];
  readonly hosts: () => string[];
}

async function observe(
  cluster: string,
  body: (observed: Observed) => Promise<void>,
  overrides: Partial<EtcdMembershipOptions> = {},
): Promise<void> {
  const seen: MembershipEvent[] = [];
  const lines: string[] = [];
  const note = (_fields: unknown, message: string): void => void lines.push(message);
  const logger: Logger = { debug: () => undefined, info: note, warn: note, error: note };
  const membership = new EtcdMembership({
    endpoints: [etcd.url],
    clusterName: cluster,
    s3Port: 29_998,
    clock: systemClock,
    logger,
    events: { ...ignoredEvents, membership: (event) => void seen.push(event) },
    requestTimeoutMs: 1_000,
    ...overrides,
  });
  const hosts = (): string[] => membership.view().workers.map(({ host }) => host);
  try {
    await body({ membership, seen, lines, hosts });
  } finally {
    await membership.close();
  }
}

async function withClient(body: (client: Etcd3) => Promise<void>): Promise<void> {
  const client = new Etcd3({ hosts: etcd.url });
  try {
    await body(client);
  } finally {
    client.close();
  }
}

function soon(ms: number): { signal: AbortSignal; deadlineMs: number } {
  return { signal: new AbortController().signal, deadlineMs: performance.now() + ms };
}

test('a change in etcd changes the view, by the watch and not by the timer', { skip }, async () => {
  await withClient(async (client) => {
    await putWorker(client, 'watch', worker(1));
    // A cluster whose name begins with ours must not leak in.
    await putWorker(client, 'watcher', worker(9));
    await observe(
      'watch',
      async ({ membership, hosts }) => {
        const generations: number[] = [];
        membership.onChange((view) => generations.push(view.generation));
        await membership.ready(soon(WAIT_MS_MAX));
        assert.deepEqual(hosts(), ['10.0.0.1']);
        await putWorker(client, 'watch', worker(2));
        await until('the second worker joins', () => hosts().length === 2);
        // Other content with the same identity and address is not a change of the view.
        await client.put(liveKey('watch', worker(2))).value(`${entryValue(worker(2))} `);
        await client.delete().key(liveKey('watch', worker(1)));
        await until('the first worker leaves', () => hosts().join() === '10.0.0.2');
        assert.deepEqual(generations, [1, 2, 3]);
        assert.equal(membership.status(), 'current');
      },
      { refreshMs: 10 * 60_000 },
    );
  });
});

test('the last good view stays while etcd is away, and etcd is found again', { skip }, async () => {
  await withClient((client) => putWorker(client, 'outage', worker(1)));
  await observe('outage', async ({ membership, hosts, lines }) => {
    await membership.ready(soon(WAIT_MS_MAX));
    await etcd.kill();
    await until('the outage is noticed', () => membership.status() === 'stale');
    assert.deepEqual(hosts(), ['10.0.0.1']);
    assert.notEqual(membership.lastError(), undefined);
    await etcd.restart();
    await withClient((client) => putWorker(client, 'outage', worker(2)));
    await until('the new worker is seen', () => hosts().length === 2);
    assert.equal(membership.status(), 'current');
    assert.equal(lines.filter((line) => line.includes('does not answer')).length, 1);
  });
});

test('a compacted revision only means a new read and a new watch', { skip }, async () => {
  await withClient(async (client) => {
    await putWorker(client, 'compact', worker(1));
    await observe('compact', async ({ membership, hosts }) => {
      await membership.ready(soon(WAIT_MS_MAX));
      await etcd.kill();
      await until('the outage is noticed', () => membership.status() === 'stale');
      await etcd.restart();
      await withClient(async (fresh) => {
        for (let i = 2; i < 6; i += 1) await putWorker(fresh, 'compact', worker(i));
        const { header } = await fresh.getAll().prefix('/DHT/').exec();
        await fresh.kv.compact({ revision: header.revision, physical: true });
        await until('every worker is seen', () => hosts().length === 5);
        await putWorker(fresh, 'compact', worker(6));
        await until('the watch stands again', () => hosts().length === 6);
      });
    });
  });
});

test('an empty answer is believed only when a second read confirms it', { skip }, async () => {
  await withClient(async (client) => {
    await putWorker(client, 'empty', worker(1));
    await observe(
      'empty',
      async ({ membership, hosts, seen }) => {
        await membership.ready(soon(WAIT_MS_MAX));
        await client.delete().key(liveKey('empty', worker(1)));
        await until('the doubt', () => seen.includes('empty-unconfirmed'));
        assert.deepEqual(hosts(), ['10.0.0.1']);
        await until('the confirmation', () => hosts().length === 0);
        await putWorker(client, 'empty', worker(1));
        await until('the worker is back', () => hosts().length === 1);
      },
      { emptyConfirmMs: 300 },
    );
  });
});

test('one bad entry does not lose the others and is logged once', { skip }, async () => {
  await withClient(async (client) => {
    await putWorker(client, 'junk', worker(1));
    await client.put('/ServiceDiscovery/junk/bad').value('{"Identity":');
    await client.put('/ServiceDiscovery/junk/huge').value('x'.repeat(100_000));
    await observe(
      'junk',
      async ({ membership, hosts, seen, lines }) => {
        await membership.ready(soon(WAIT_MS_MAX));
        await until('several reads', () => seen.filter((event) => event === 'read-ok').length > 2);
        assert.deepEqual(hosts(), ['10.0.0.1']);
        assert.equal(lines.filter((line) => line.includes('Left out an entry')).length, 2);
        assert.ok(seen.filter((event) => event === 'bad-entry').length >= 4);
        // Nothing but junk is not the same as nobody.
        await client.delete().key(liveKey('junk', worker(1)));
        await until('the junk is refused', () => membership.status() === 'stale');
        assert.deepEqual(hosts(), ['10.0.0.1']);
      },
      { refreshMs: 100, emptyConfirmMs: 50 },
    );
  });
});

test('waiting for an etcd that is not there ends at the deadline', { skip }, async () => {
  // Port 9 (discard) refuses; 192.0.2.1 is reserved and answers nothing at all.
  for (const endpoint of ['http://127.0.0.1:9', 'http://192.0.2.1:2379']) {
    await observe(
      'nobody',
      async ({ membership }) => {
        const startMs = performance.now();
        await assert.rejects(
          membership.ready(soon(500)),
          (error) => error instanceof ClusterError && error.code === 'timeout',
        );
        assert.ok(performance.now() - startMs < 5_000);
        assert.equal(membership.status(), 'starting');
      },
      { endpoints: [endpoint] },
    );
  }
});

test('one of several endpoints is enough', { skip }, async () => {
  await withClient((client) => putWorker(client, 'several', worker(1)));
  await observe(
    'several',
    async ({ membership, hosts }) => {
      await membership.ready(soon(WAIT_MS_MAX));
      assert.deepEqual(hosts(), ['10.0.0.1']);
    },
    { endpoints: ['http://127.0.0.1:9', etcd.url] },
  );
});

test('user and password are used where etcd demands them', { skip }, async () => {
  const auth = { username: 'root', password: 'secret' };
  await withClient(async (client) => {
    await putWorker(client, 'auth', worker(1));
    await client.role('root').create();
    const user = await client.user('root').create('secret');
    await user.addRole('root');
    await client.user('guest').create('guest');
    await client.auth.authEnable();
  });
  const admin = new Etcd3({ hosts: etcd.url, auth });
  try {
    await observe('auth', async ({ membership }) => {
      await until('the refusal', () => membership.lastError() !== undefined);
      assert.equal(membership.status(), 'starting');
    });
    // Each is told at once, and names the option to look at.
    const refused: [EtcdMembershipOptions['auth'], RegExp][] = [
      [undefined, /demands a login; give --etcd-username/],
      [
        { username: 'root', password: 'wrong' },
        /refused the login of "root".*--etcd-password-file/,
      ],
      [{ username: 'nobody', password: 'x' }, /refused the login of "nobody".*--etcd-username/],
      [{ username: 'guest', password: 'guest' }, /"guest" log in but not read \/ServiceDiscovery/],
    ];
    for (const [login, message] of refused) {
      await observe(
        'auth',
        async ({ membership, lines }) => {
          await assert.rejects(membership.ready(soon(WAIT_MS_MAX)), (error) => {
            assert.ok(error instanceof ClusterError);
            assert.equal(error.code, 'permission');
            assert.match(error.message, message);
            assert.doesNotMatch(error.message, /wrong"|within/);
            return true;
          });
          assert.deepEqual(lines, ['etcd refuses us; the last good view stays']);
        },
        { auth: login },
      );
    }
    await observe(
      'auth',
      async ({ membership, hosts }) => {
        await membership.ready(soon(WAIT_MS_MAX));
        await putWorker(admin, 'auth', worker(2));
        await until('the second worker joins', () => hosts().length === 2);
      },
      { auth },
    );
  } finally {
    await admin.auth.authDisable();
    admin.close();
    await observe(
      'auth',
      async ({ membership }) => {
        const failure = { message: /no users, authentication is not enabled; leave out --etcd-u/ };
        await assert.rejects(membership.ready(soon(WAIT_MS_MAX)), failure);
      },
      { auth },
    );
  }
});
