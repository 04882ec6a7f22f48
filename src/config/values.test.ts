import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { etcdHostsKind, workerHostsKind } from './hosts.ts';
import {
  booleanKind,
  formatDuration,
  formatSize,
  integerKind,
  modeKind,
  parseDuration,
  parseSize,
  sizeKind,
  ValueError,
} from './values.ts';

const own = { bareDurationUnit: 's' } as const;
const alluxio = { bareDurationUnit: 'ms' } as const;

// Goal: the same text means the same here and to Alluxio. The expected values are what Alluxio's
// own parser (FormatUtils.parseSpaceSize, parseTimeSize) gave for these texts.
test('sizes mean what they mean to Alluxio', () => {
  const cases: [string, number][] = [
    ['1', 1],
    ['1B', 1],
    ['1k', 1024],
    ['1K', 1024],
    ['1KB', 1024],
    ['4MB', 4_194_304],
    ['4m', 4_194_304],
    ['4MiB', 4_194_304],
    ['0.5MB', 524_288],
    ['1.5GB', 1_610_612_736],
    ['1TB', 2 ** 40],
    ['1PB', 2 ** 50],
    ['1mb', 1_048_576],
    ['0', 0],
  ];
  for (const [text, bytes] of cases) assert.equal(parseSize(text), bytes, text);
  for (const text of ['', 'abc', '-1', '1X', 'MB', '0.3', '1e3', '9999999PB', '1 2']) {
    assert.throws(() => parseSize(text), ValueError, text);
  }
});

test('durations mean what they mean to Alluxio, but a bare number is seconds to people', () => {
  const cases: [string, number][] = [
    ['60s', 60_000],
    ['5min', 300_000],
    ['1h', 3_600_000],
    ['250ms', 250],
    ['2d', 172_800_000],
    ['3m', 180_000],
    ['10sec', 10_000],
    ['2hr', 7_200_000],
    ['1hour', 3_600_000],
    ['1000millisecond', 1000],
    ['1day', 86_400_000],
    ['5MIN', 300_000],
    ['1.5s', 1500],
  ];
  for (const [text, ms] of cases) {
    assert.equal(parseDuration(text, own), ms, text);
    assert.equal(parseDuration(text, alluxio), ms, text);
  }
  assert.equal(parseDuration('60', own), 60_000);
  assert.equal(parseDuration('60', alluxio), 60);
  for (const text of ['', '-1', '1y', 's', '1e3', '1s2']) {
    assert.throws(() => parseDuration(text, own), ValueError, text);
  }
});

test('sizes and durations read back what they print', () => {
  fc.assert(
    fc.property(fc.maxSafeNat(), (value) => {
      assert.equal(parseSize(formatSize(value)), value);
      assert.equal(parseDuration(formatDuration(value), own), value);
      assert.equal(parseDuration(formatDuration(value), alluxio), value);
    }),
  );
  assert.equal(formatSize(1_048_576), '1MB');
  assert.equal(formatSize(1_048_577), '1048577');
  assert.equal(formatDuration(90_000), '90s');
  assert.equal(formatDuration(0), '0s');
});

test('no text makes a parser throw anything but a ValueError', () => {
  const parsers = [
    parseSize,
    (text: string) => parseDuration(text, own),
    (text: string) => etcdHostsKind.parse(text, own),
    (text: string) => workerHostsKind.parse(text, own),
    (text: string) => modeKind.parse(text, own),
  ];
  fc.assert(
    fc.property(fc.string(), (text) => {
      for (const parse of parsers) {
        try {
          parse(text);
        } catch (error) {
          assert.ok(error instanceof ValueError, String(error));
        }
      }
    }),
  );
});

test('modes are octal however they are written', () => {
  for (const text of ['644', '0644', '0o644']) assert.equal(modeKind.parse(text, own), 0o644);
  assert.equal(modeKind.format(0o55), '0055');
  for (const text of ['0888', '1777', '', '-1', '0x1']) {
    assert.throws(() => modeKind.parse(text, own), ValueError, text);
  }
});

test('booleans are the words people write, and nothing else', () => {
  for (const text of ['true', 'TRUE', 'yes', 'on', '1']) {
    assert.equal(booleanKind.parse(text, own), true);
  }
  for (const text of ['false', 'no', 'off', '0']) assert.equal(booleanKind.parse(text, own), false);
  for (const text of ['', 'maybe', '2']) {
    assert.throws(() => booleanKind.parse(text, own), ValueError);
  }
});

test('ranges are closed, and multiples are kept', () => {
  const kind = sizeKind({ min: 4096, max: 16_384, multipleOf: 4096 });
  assert.equal(kind.parse('4KB', own), 4096);
  assert.equal(kind.parse('16KB', own), 16_384);
  for (const text of ['4095', '16385', '5KB', '20KB']) {
    assert.throws(() => kind.parse(text, own), ValueError, text);
  }
  const port = integerKind({ min: 1, max: 65_535 });
  for (const text of ['0', '65536', '1.5', '0x10', ' ', '99999999999999999']) {
    assert.throws(() => port.parse(text, own), ValueError, text);
  }
});

test('host lists take names, addresses and ports', () => {
  assert.deepEqual(etcdHostsKind.parse('a, b:1 ;https://[::1]:2379/,http://c', own), [
    { scheme: undefined, host: 'a', port: undefined },
    { scheme: undefined, host: 'b', port: 1 },
    { scheme: 'https', host: '[::1]', port: 2379 },
    { scheme: 'http', host: 'c', port: undefined },
  ]);
  assert.deepEqual(workerHostsKind.parse('w1,w2:1,10.0.0.1:1:2', own), [
    { host: 'w1', ports: [] },
    { host: 'w2', ports: [1] },
    { host: '10.0.0.1', ports: [1, 2] },
  ]);
  for (const text of ['', ',', 'a:b', 'a:0', 'a:65536', 'a:1:2', 'a/b', 'ftp://a', '-a', '::1']) {
    assert.throws(() => etcdHostsKind.parse(text, own), ValueError, text);
  }
  assert.throws(() => workerHostsKind.parse('a:1:2:3', own), ValueError);
});
