/** The parsers of what workers send: exact on what is right, an error and nothing worse on the rest. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { byteStringOfText, type ByteString } from '../../base/byte-string.ts';
import { ClusterError } from '../types.ts';
import { EntryScanner, parseEntries, readEntry } from './entries.ts';
import { lostName } from '../inexpressible.ts';
import { ossHttpPath, percentEncode, s3Target } from './names.ts';
import {
  parseContentRange,
  parseLocation,
  parseS3Error,
  parseS3List,
  parseVersionTag,
} from './s3-answers.ts';

/** mulberry32: a failing case is found again by its number. */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

const cases = 100_000;

/** Cuts, changes, repeats and mixes bytes of good input. */
function mutate(good: Buffer, random: () => number): Buffer {
  const pick = (below: number): number => Math.floor(random() * below);
  const kind = pick(5);
  if (kind === 0) return good.subarray(0, pick(good.length));
  if (kind === 1) return Buffer.from(Array.from({ length: pick(64) }, () => pick(256)));
  const changed = Buffer.from(good);
  const signs = '<>&;"\\{}[],:/\0\xff';
  for (let count = 0; count <= pick(4); count += 1) {
    const at = pick(changed.length);
    changed[at] = kind === 2 ? pick(256) : signs.charCodeAt(pick(signs.length));
  }
  if (kind < 4) return changed;
  const from = pick(changed.length);
  return Buffer.concat([changed.subarray(0, from), changed.subarray(pick(changed.length))]);
}

function fuzz(good: readonly string[], parse: (input: Buffer) => unknown): void {
  const random = randomOf(1);
  const buffers = good.map((text) => Buffer.from(text));
  let accepted = 0;
  for (let index = 0; index < cases; index += 1) {
    const input = mutate(buffers[index % buffers.length] ?? Buffer.alloc(0), random);
    try {
      parse(input);
      accepted += 1;
    } catch (error) {
      if (error instanceof ClusterError && error.code === 'protocol') continue;
      assert.fail(`case ${index}: ${String(error)} on ${JSON.stringify(input.toString('latin1'))}`);
    }
  }
  assert.ok(accepted < cases, 'some of it must have been refused');
}

function entryJson(name: string, more: Readonly<Record<string, unknown>> = {}): string {
  const at = `/d/${name}`;
  return JSON.stringify({
    mType: 'file',
    mName: name,
    mPath: at,
    mUfsPath: `file:///r${at}`,
    mLastModificationTimeMs: 17,
    mLength: 3,
    ...more,
  });
}

const names = [
  '007',
  '1e5',
  'true',
  'null',
  '__proto__',
  'constructor',
  ' lead',
  'trail ',
  '  ',
  'a&b',
  'a<b>',
  `q'"q`,
  'x\ry',
  'x\r\ny',
  'x\ny',
  'x\ty',
  '\n',
  'a&amp;b',
  'a&#10;b',
  ']]>',
  '<!--',
  '],[{}',
  '},{',
  '"},{"',
  '},',
  'é',
  'e\u0301',
  '😀',
  '\u2028',
  '\ufeffbom',
  '\ufffd',
  'n'.repeat(255),
];

describe('the JSON of entries', () => {
  it('gives every name as it is, however the bytes are cut', () => {
    const bodies = [' ,\n', ','].map((between) =>
      Buffer.from(`[ ${names.map((name) => entryJson(name)).join(between)} ]`),
    );
    const expected = names.map(byteStringOfText);
    const random = randomOf(2);
    for (let round = 0; round < 600; round += 1) {
      const body = bodies[round % 2] as Buffer;
      const scanner = new EntryScanner();
      const found: unknown[] = [];
      for (let from = 0; from < body.length;) {
        const to = Math.min(body.length, from + 1 + Math.floor(random() * (round + 1)));
        found.push(...scanner.push(body.subarray(from, to)));
        from = to;
      }
      scanner.end();
      const got = found.map((value) => {
        const entry = readEntry(value);
        assert.ok('status' in entry);
        return entry.status.name;
      });
      assert.deepEqual(got, expected);
    }
    assert.deepEqual(parseEntries(Buffer.from(' [ ] ')), []);
  });

  it('needs little of an entry, and takes what Enterprise adds', () => {
    const least = { mType: 'directory', mPath: '/d' };
    assert.deepEqual(readEntry(least), {
      status: { name: 'd', type: 'directory', lengthBytes: 0, mtimeMs: 0 },
      path: '/d',
      ufsPath: undefined,
    });
    const text = entryJson('k', { mMode: 33188, mOwner: 'o', mGroup: 'g', mContentHash: 'h' });
    assert.deepEqual(readEntry(JSON.parse(text)), {
      status: {
        name: 'k',
        type: 'file',
        lengthBytes: 3,
        mtimeMs: 17,
        mode: 0o644,
        owner: 'o',
        group: 'g',
        contentHash: 'h',
      },
      path: '/d/k',
      ufsPath: 'file:///r/d/k',
    });
  });

  it('drops entries whose names are not their own', () => {
    for (const more of [
      { mUfsPath: 'file:///r/d/a\\k' },
      { mUfsPath: 'file:///r/d/other' },
      { mPath: '/d/other' },
      { mName: '..', mPath: '/d/..', mUfsPath: 'x/..' },
      { mName: 'a\0b', mPath: '/d/a\0b', mUfsPath: 'x/a\0b' },
      { mName: '\ud800', mPath: '/d/\ud800', mUfsPath: 'x/\ud800' },
    ]) {
      assert.ok('dropped' in readEntry(JSON.parse(entryJson('k', more))), JSON.stringify(more));
    }
  });

  it('is refused, not trusted, when it is damaged, in one part or in two (200,000 cases)', () => {
    const good = [
      `[${names
        .map((name) => entryJson(name))
        .slice(0, 4)
        .join(',')}]`,
      '[]',
    ];
    fuzz(good, (input) => parseEntries(input).map((value) => readEntry(value)));
    fuzz(good, (input) => {
      const scanner = new EntryScanner();
      const cut = Math.min(20, input.length);
      const found = [input.subarray(0, cut), input.subarray(cut)].flatMap((part) =>
        scanner.push(part),
      );
      scanner.end();
      // One way is as strict as the other.
      assert.deepEqual(found, parseEntries(input));
      return found.map((value) => readEntry(value));
    });
  });

  it('does not grow without end on an entry without end', () => {
    const scanner = new EntryScanner();
    scanner.push(Buffer.from('[{"a":"'));
    const chunk = Buffer.alloc(65_536, 'x');
    assert.throws(() => {
      for (let count = 0; count < 10; count += 1) scanner.push(chunk);
    }, ClusterError);
  });
});

function listXml(keys: readonly string[], encoded: boolean): string {
  const write = (key: string): string =>
    encoded
      ? percentEncode(byteStringOfText(key)).replaceAll('%20', '+')
      : key.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
  const files = keys.map(
    (key) =>
      `<Contents><Key>${write(`p/${key}`)}</Key><Size>3</Size>` +
      '<LastModified>2026-11-22T20:55:50.633Z</LastModified></Contents>',
  );
  const directories = keys.map(
    (key) => `<CommonPrefixes><Prefix>${write(`p/${key}/`)}</Prefix></CommonPrefixes>`,
  );
  return (
    `<ListBucketResult>${encoded ? '<EncodingType>url</EncodingType>' : ''}` +
    `<IsTruncated>false</IsTruncated>${files.join('')}${directories.join('')}<Name>b</Name>` +
    '<Prefix>p/</Prefix></ListBucketResult>'
  );
}

describe('the XML of S3 listings', () => {
  for (const encoded of [true, false]) {
    it(`gives every name as it is, ${encoded ? 'form-encoded' : 'raw'}`, () => {
      const page = parseS3List(Buffer.from(listXml(names, encoded)), 'p/' as ByteString);
      const expected = names.map(byteStringOfText);
      assert.deepEqual(page.dropped, []);
      assert.deepEqual(
        page.entries.map((entry) => entry.name),
        [...expected, ...expected],
      );
      assert.deepEqual(page.entries[0], {
        name: '007',
        type: 'file',
        lengthBytes: 3,
        mtimeMs: Date.UTC(2026, 10, 22, 20, 55, 50, 633),
      });
    });
  }

  it('reads character references, a prolog and an empty element', () => {
    const body =
      '<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://x/">' +
      '<Marker/><Contents><Key>p/&#10;&#x1F600;&apos;</Key><Size>1</Size>' +
      '<LastModified>2026-11-22T20:55:50Z</LastModified></Contents></ListBucketResult>';
    const page = parseS3List(Buffer.from(body), 'p/' as ByteString);
    assert.deepEqual(
      page.entries.map((entry) => entry.name),
      [byteStringOfText("\n😀'")],
    );
  });

  it('is refused, not trusted, when it is damaged (100,000 cases)', () => {
    const good = [listXml(names.slice(0, 5), true), listXml(names.slice(5, 12), false)];
    fuzz(good, (input) => parseS3List(input, 'p/' as ByteString));
  });

  it('errors are read without ever throwing (100,000 cases)', () => {
    const body = Buffer.from('<Error><Message>m</Message><Code>NoSuchKey</Code></Error>');
    assert.deepEqual(parseS3Error(body), { code: 'NoSuchKey', message: 'm' });
    const random = randomOf(3);
    for (let index = 0; index < cases; index += 1) parseS3Error(mutate(body, random));
  });
});

describe('odd headers', () => {
  it('Location gives host and port, or an error (100,000 cases)', () => {
    assert.deepEqual(parseLocation('http://10.0.0.1:29998/b/%FF?x'), {
      host: '10.0.0.1',
      port: 29_998,
    });
    assert.deepEqual(parseLocation('http://[::1]:5/'), { host: '::1', port: 5 });
    assert.deepEqual(parseLocation('http://h'), { host: 'h', port: 80 });
    fuzz(['http://worker-1.example:29998/b/k', 'http://[fe80::1]:1/'], (input) => {
      const { host, port } = parseLocation(input.toString('latin1'));
      assert.match(host, /^[0-9A-Za-z:._-]+$/);
      assert.ok(port >= 1 && port <= 65_535);
    });
  });

  it('ETag and Content-Range are whole numbers or nothing', () => {
    assert.deepEqual(parseVersionTag('(len:6, modtime:1795380045704)'), {
      lengthBytes: 6,
      mtimeMs: 1_795_380_045_704,
    });
    for (const tag of ['', '"abc"', '(len:-1, modtime:1)', '(len:6, modtime:1) ']) {
      assert.equal(parseVersionTag(tag), undefined);
    }
    assert.deepEqual(parseContentRange('bytes 5-14/100'), {
      first: 5,
      last: 14,
      fileLengthBytes: 100,
    });
    for (const value of [
      'bytes 5-14/*',
      'bytes */100',
      '5-14/100',
      'bytes 5-14/9999999999999999',
    ]) {
      assert.equal(parseContentRange(value), undefined, value);
    }
  });
});

describe('names on the wire', () => {
  it('are what the open-source worker turns back into the same name', () => {
    const random = randomOf(4);
    const decode = (text: string): string =>
      text.replace(/%([0-9A-F]{2})/g, (_, hex: string) =>
        String.fromCharCode(Number.parseInt(hex, 16)),
      );
    for (let index = 0; index < 20_000; index += 1) {
      const bytes = Array.from({ length: 1 + (index % 6) }, () => 1 + Math.floor(random() * 255));
      const at = `/${String.fromCharCode(...bytes)}` as ByteString;
      assert.equal(decode(decode(s3Target(at, true))), at);
      assert.equal(decode(s3Target(at, false)), at);
      const http = ossHttpPath(at);
      if (http === undefined) continue;
      assert.equal(lostName(at), undefined, at);
      assert.match(http, /^[!-~]+$/);
      assert.doesNotMatch(http, /[&=?\\]/);
      assert.equal(http.replace(/%(?:2F|3A|3F)/g, '!'), at);
    }
  });
});
