import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Redactor } from './redact.ts';

test('fields named like secrets are hidden at any depth and in any spelling', () => {
  const clean = new Redactor().fields({
    etcdPassword: 'p1',
    'etcd-password': 'p2',
    ufs: { s3: { access_key: 'a', accessKeyId: 'b', 's3a.secretKey': 'c', endpoint: 'http://s3' } },
    mounts: [{ '/mnt': { secret_key: 'd', sessionToken: 'e' } }],
    headers: { Authorization: 'Basic eA==' },
  });
  assert.deepEqual(clean, {
    etcdPassword: '[redacted]',
    'etcd-password': '[redacted]',
    ufs: {
      s3: {
        access_key: '[redacted]',
        accessKeyId: '[redacted]',
        's3a.secretKey': '[redacted]',
        endpoint: 'http://s3',
      },
    },
    mounts: [{ '/mnt': { secret_key: '[redacted]', sessionToken: '[redacted]' } }],
    headers: { Authorization: '[redacted]' },
  });
});

test('secrets inside running text are hidden and the rest of the text stays', () => {
  const redactor = new Redactor(['hunter22']);
  assert.equal(
    redactor.text('GET http://me:pw@host:2379/x failed'),
    'GET http://[redacted]@host:2379/x failed',
  );
  assert.equal(redactor.text('login with hunter22 failed'), 'login with [redacted] failed');
  assert.equal(
    redactor.text('s3a.secretKey=abc, path=/d/f'),
    's3a.secretKey=[redacted], path=/d/f',
  );
  assert.equal(
    redactor.text('/b/k?x=1&X-Amz-Signature=0f&X-Amz-Credential=AK'),
    '/b/k?x=1&X-Amz-Signature=[redacted]&X-Amz-Credential=[redacted]',
  );
  assert.equal(
    redactor.text('page 3 of /data/a b.txt: 10 bytes'),
    'page 3 of /data/a b.txt: 10 bytes',
  );
});

test('an error keeps its code and its causes, without secrets', () => {
  const cause = Object.assign(new Error('connect to http://u:p@h failed'), {
    code: 'ECONNREFUSED',
  });
  const error = Object.assign(new Error('read failed', { cause }), { token: 'x', path: '/a' });
  const { error: clean } = new Redactor().fields({ error }) as {
    error: Record<string, unknown> & { cause: Record<string, unknown> };
  };
  assert.equal(clean['message'], 'read failed');
  assert.equal(clean['path'], '/a');
  assert.equal(clean['token'], '[redacted]');
  assert.equal(clean.cause['code'], 'ECONNREFUSED');
  assert.equal(clean.cause['message'], 'connect to http://[redacted]@h failed');
});

test('cycles, content and long lists end somewhere', () => {
  const cycle: Record<string, unknown> = {};
  cycle['self'] = cycle;
  const clean = new Redactor().fields({
    cycle,
    page: new Uint8Array(1024),
    many: Array.from({ length: 1000 }, () => 1),
    id: 12n,
  });
  assert.ok(JSON.stringify(clean).length < 1000);
  assert.equal(clean['page'], '[1024 bytes]');
  assert.equal(clean['id'], '12');
});
