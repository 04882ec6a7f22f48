import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseWorkerEntry, WorkerEntryError } from './worker-entry.ts';

const options = { s3Port: 29998 };
const example =
  '{"Identity":{"version":1,"identifier":"ebad64149cc737baa6ef069819279fd5"},' +
  '"WorkerNetAddress":{"Host":"10.0.0.5","ContainerHost":"","RpcPort":29999,"DataPort":29997,' +
  '"SecureRpcPort":0,"NettyDataPort":29997,"WebPort":30000,"DomainSocketPath":"",' +
  '"HttpServerPort":28080},"State":"AUTHORIZED","GenerationNumber":-1,' +
  '"ServiceEntityName":"worker-ebad6414-9cc7-37ba-a6ef-069819279fd5"}';

function generator(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

test('a real entry becomes a worker', () => {
  assert.deepEqual(parseWorkerEntry(example, options), {
    id: 'worker-ebad6414-9cc7-37ba-a6ef-069819279fd5',
    identifier: 'ebad64149cc737baa6ef069819279fd5',
    version: 1,
    host: '10.0.0.5',
    httpPort: 28080,
    s3Port: 29998,
  });
});

test('missing address fields get the defaults of Alluxio, unknown fields are ignored', () => {
  const text = '{"Identity":{"version":0,"identifier":"000000000000002A"},"New":[1]}';
  assert.deepEqual(parseWorkerEntry(text, options), {
    id: 'worker-42',
    identifier: '000000000000002a',
    version: 0,
    host: 'localhost',
    httpPort: 28080,
    s3Port: 29998,
  });
});

test('an entry without a usable identity or address is a typed error', () => {
  const cases = [
    '',
    'null',
    '[]',
    '"x"',
    '{}',
    '{"Identity":null}',
    '{"Identity":{"version":1}}',
    '{"Identity":{"version":1.5,"identifier":"00"}}',
    '{"Identity":{"version":1,"identifier":"0"}}',
    '{"Identity":{"version":1,"identifier":"zz"}}',
    `{"Identity":{"version":1,"identifier":"${'0'.repeat(1000)}"}}`,
    '{"Identity":{"version":1,"identifier":"00"},"WorkerNetAddress":[]}',
    '{"Identity":{"version":1,"identifier":"00"},"WorkerNetAddress":{"Host":"a/b"}}',
    '{"Identity":{"version":1,"identifier":"00"},"WorkerNetAddress":{"Host":"a@b"}}',
    '{"Identity":{"version":1,"identifier":"00"},"WorkerNetAddress":{"Host":""}}',
    '{"Identity":{"version":1,"identifier":"00"},"WorkerNetAddress":{"HttpServerPort":0}}',
    '{"Identity":{"version":1,"identifier":"00"},"WorkerNetAddress":{"HttpServerPort":70000}}',
    '['.repeat(60_000),
    `"${' '.repeat(100_000)}"`,
  ];
  for (const text of cases) {
    assert.throws(() => parseWorkerEntry(text, options), WorkerEntryError, text.slice(0, 80));
  }
});

test('100,000 damaged entries are workers or typed errors, never anything else', () => {
  const random = generator(20_261_122);
  let accepted = 0;
  for (let i = 0; i < 100_000; i += 1) {
    const text = damaged(random);
    try {
      const worker = parseWorkerEntry(text, options);
      accepted += 1;
      assert.match(worker.identifier, /^(?:[0-9a-f]{2}){1,64}$/);
      assert.match(worker.host, /^[A-Za-z0-9._:%-]{1,253}$/);
      assert.ok(worker.httpPort > 0 && worker.httpPort < 65_536);
    } catch (error) {
      assert.ok(error instanceof WorkerEntryError, `case ${i}: ${String(error)}`);
    }
  }
  // The damage must leave some entries readable, or the loop proves little.
  assert.ok(accepted > 1000, String(accepted));
});

function damaged(random: (below: number) => number): string {
  const at = random(example.length);
  switch (random(5)) {
    case 0:
      return example.slice(0, at);
    case 1: {
      const changed = String.fromCharCode(random(0x300));
      return example.slice(0, at) + changed + example.slice(at + 1);
    }
    case 2:
      return example.slice(0, at) + example.slice(random(example.length));
    case 3:
      return example.slice(0, at) + 'A0'.repeat(random(200)) + example.slice(at);
    default: {
      const bytes = Buffer.alloc(random(200));
      for (let i = 0; i < bytes.length; i += 1) bytes[i] = random(256);
      return bytes.toString(random(2) === 0 ? 'utf8' : 'latin1');
    }
  }
}
