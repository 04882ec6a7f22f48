/**
 * What a worker of open-source Alluxio does on its two ports, as facts. The suite runs against a
 * real cluster and against the dev workers: where the two differ, the dev worker is wrong. Where
 * the suite itself is wrong, the real cluster says so.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, statSync, symlinkSync } from 'node:fs';
import { mkdir, rm, unlink, writeFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { exchange, RawConnection, requestBytes } from '../support/raw-http.ts';
import { membersOf } from '../support/real-alluxio.ts';
import type { Cleanup } from '../support/temp-dir.ts';
import { AWKWARD_NAMES, sampleBytes } from '../support/tree.ts';
import type { ContractTarget } from './target.ts';
import { Contract } from './target.ts';
import { afterwardsFacts, cutFacts, put } from './write-facts.ts';

/** Three workers and two ports on a busy machine; alone it takes a few seconds. */
const SUITE_MS = 300_000;

export interface ContractOptions {
  readonly skip: string | false;
  acquire(cleanup: Cleanup): Promise<ContractTarget>;
}

export function workerContract(name: string, options: ContractOptions): void {
  describe(name, { skip: options.skip, timeout: SUITE_MS }, () => {
    const undo: (() => Promise<void>)[] = [];
    let c: Contract;

    before(async () => {
      const cleanup: Cleanup = (work) => undo.unshift(work);
      c = await Contract.make(await options.acquire(cleanup), cleanup);
      await mkdir(`${c.dir}/sub/deep`, { recursive: true });
      await mkdir(`${c.dir}/empty-dir`);
      await writeFile(`${c.dir}/f`, 'hello6');
      // Cut to milliseconds, never rounded: half a microsecond more would be the next one.
      execFileSync('touch', ['-d', '@1700000000.123999950', `${c.dir}/f`]);
      await writeFile(`${c.dir}/empty`, '');
      await writeFile(`${c.dir}/sub/g`, 'x');
    });
    after(async () => {
      for (const work of undo) await work();
    });

    httpFacts(() => c);
    pageFacts(() => c);
    objectFacts(() => c);
    nameFacts(() => c);
    listFacts(() => c);
    staleFacts(() => c);
    writeFacts(() => c);
    afterwardsFacts(() => c);
    clusterFacts(() => c);
    cutFacts(() => c);
  });
}

function mtimeMs(path: string): number {
  return Number(statSync(path, { bigint: true }).mtimeNs / 1_000_000n);
}

function json(body: Buffer | undefined): Record<string, unknown>[] {
  return JSON.parse(body?.toString('utf8') ?? 'null') as Record<string, unknown>[];
}

function httpFacts(contract: () => Contract): void {
  test('HTTP health answers in plain text and keeps the connection', async () => {
    const c = contract();
    const { host, httpPort } = c.worker(0);
    const connection = await RawConnection.open(host, httpPort);
    for (const target of ['/v1/health', '/health', '/v1/health?x=y', '/other/health/more']) {
      connection.send(requestBytes({ target }));
      const response = await connection.response();
      assert.equal(response?.status, '200 OK');
      assert.deepEqual(response.headers, [
        ['content-type', 'text/plain'],
        ['content-length', '16'],
      ]);
      assert.equal(response.body.toString(), 'worker is active');
    }
    connection.send(requestBytes({ target: '/v1/health', headers: ['Connection: close'] }));
    assert.equal((await connection.response())?.header('connection'), 'close');
    await connection.closed();
  });

  test('HTTP closes the connection instead of answering an error', async () => {
    const c = contract();
    const closed: [string, string][] = [
      ['GET', '/'],
      ['GET', '/v1'],
      ['GET', '/health?x=y'],
      ['GET', '/v1/unknown'],
      ['GET', '/v1/range/abc'],
      ['GET', '/v1/info'],
      ['GET', '/v1/files?path='],
      ['GET', `/v1/info?path=${c.path('missing')}`],
      ['GET', `/v1/info?path=${c.path('%66')}`],
      ['GET', `/v1/files?path=${c.path('sub')}&x`],
      ['GET', '/v1/info?path=/../etc'],
      ['GET', `/v1/file/${c.bucket}/page/0`],
      ['GET', '/v1/file/abc/page/x'],
      ['HEAD', '/v1/health'],
      ['DELETE', `/v1/info?path=${c.path('f')}`],
      ['OPTIONS', '/v1/health'],
      ['POST', `/v1/info?path=${c.path('f')}`],
    ];
    for (const [method, target] of closed) {
      const { response, connection } = await exchange(c.httpRequest(target, { method }));
      assert.equal(response, undefined, `${method} ${target}`);
      assert.equal((await connection.closed()).length, 0);
    }
  });

  test('HTTP info is an array of one entry, for Alluxio and for UFS paths', async () => {
    const c = contract();
    const ufs = c.ufs('f');
    const targets = [c.path('f'), ufs, `%2F${c.bucket}%2Ff`, `//${c.bucket}//f`, c.path('./f')];
    targets.push(c.path('sub/../f'), c.path('f/'), `${c.path('f')}=ignored`);
    for (const target of targets) {
      const response = await c.http(`/v1/info?path=${target}`, {}, 1);
      assert.equal(response?.status, '200 OK', target);
      assert.equal(response.header('content-type'), 'application/json');
      assert.equal(
        response.body.toString(),
        `[{"mType":"file","mName":"f","mPath":"${c.path('f')}","mUfsPath":"${ufs}",` +
          `"mLastModificationTimeMs":${mtimeMs(`${c.dir}/f`)},"mLength":6,` +
          '"mHumanReadableFileSize":"6B"}]',
      );
    }
    const [dir] = json((await c.http(`/v1/info?path=${c.path('sub')}`))?.body);
    assert.deepEqual([dir?.['mType'], dir?.['mLength']], ['directory', 0]);
  });

  test('HTTP files lists children, the file itself, or nothing', async () => {
    const c = contract();
    const names = async (path: string): Promise<string[]> =>
      json((await c.http(`/v1/files?path=${path}`))?.body)
        .map((entry) => String(entry['mName']))
        .sort();
    assert.deepEqual(await names(c.path('')), ['empty', 'empty-dir', 'f', 'sub']);
    assert.deepEqual(await names(c.path('f')), ['f']);
    assert.deepEqual(await names(c.path('empty-dir')), []);
    assert.deepEqual(await names(c.path('missing')), []);
    assert.deepEqual(await names('relative'), []);
  });

  test('HTTP reads names raw: only %2F %3A %3F are decoded', async () => {
    const c = contract();
    await mkdir(`${c.dir}/raw`);
    for (const name of ['a+b', 'a%20b', '#', ';', 'a:b'])
      await writeFile(`${c.dir}/raw/${name}`, 'r');
    for (const name of ['a+b', 'a%20b', '#', ';', 'a:b', 'a%3Ab']) {
      assert.notEqual(await c.http(`/v1/info?path=${c.path(`raw/${name}`)}`), undefined, name);
    }
  });

  test('HTTP JSON escapes what Gson escapes', async () => {
    const c = contract();
    await mkdir(`${c.dir}/gson`);
    await writeFile(`${c.dir}/gson/<>&='"\u2028\né`, '1');
    const text = (await c.http(`/v1/files?path=${c.path('gson')}`))?.body.toString() ?? '';
    const name = '"mName":"\\u003c\\u003e\\u0026\\u003d\\u0027\\"\\u2028\\né"';
    assert.ok(text.includes(name), text);
  });
}

function pageFacts(contract: () => Contract): void {
  test('the page endpoint serves what the owner has cached, and nothing else', async () => {
    const c = contract();
    const pageSize = c.target.info.pageSize;
    const content = sampleBytes(2 * pageSize + 100, 7);
    await writeFile(`${c.dir}/paged`, content);
    const id = createHash('sha256').update(c.ufs('paged')).digest('hex');
    const owner = c.ownerIndex('paged');
    const page = async (rest: string, index = owner) =>
      (await c.http(`/v1/file/${id}/page/${rest}`, {}, index))?.body;
    assert.equal(await page('0'), undefined);
    const range = [`Range: bytes=0-${pageSize + 10}`];
    assert.equal(
      (await c.s3(c.key('paged'), { headers: range }, owner)).body.length,
      pageSize + 11,
    );
    // A page is cached from its start to the end of the range: short in the middle of the file.
    assert.deepEqual(await page('0'), content.subarray(0, pageSize));
    assert.deepEqual(await page('1'), content.subarray(pageSize, pageSize + 11));
    const inside = [`Range: bytes=${pageSize + 20}-${pageSize + 29}`];
    await c.s3(c.key('paged'), { headers: inside }, owner);
    assert.deepEqual(await page('1'), content.subarray(pageSize, pageSize + 30));
    assert.equal(await page('2'), undefined);
    assert.equal(await page('0', (owner + 1) % c.target.info.workers.length), undefined);
    await c.s3(c.key('paged'), {}, owner);
    assert.deepEqual(await page('1'), content.subarray(pageSize, 2 * pageSize));
    assert.deepEqual(await page('2'), content.subarray(2 * pageSize));
    assert.equal(await page('3'), undefined);
    // Ranges inside a page.
    assert.deepEqual(await page('0?offset=5&length=3'), content.subarray(5, 8));
    assert.deepEqual(await page('0?length=3&offset=5'), content.subarray(5, 8));
    assert.deepEqual(
      await page(`0?offset=${pageSize - 6}`),
      content.subarray(pageSize - 6, pageSize),
    );
    assert.equal((await page('0?length=5'))?.length, pageSize);
    assert.deepEqual(await page('2?offset=90&length=50'), content.subarray(2 * pageSize + 90));
    assert.equal((await page('2?offset=100'))?.length, 0);
    assert.equal((await page(`0?offset=${pageSize}`))?.length, 0);
    for (const bad of ['2?offset=101', `0?offset=${pageSize + 1}`, '0?offset=-1&length=2']) {
      assert.equal(await page(bad), undefined, bad);
    }
    for (const bad of ['0?offset=0&length=-1', '0?offset=&length=2', '0?x&offset=0&length=2']) {
      assert.equal(await page(bad), undefined, bad);
    }
  });

  test('a page that is posted goes to the cache only, and does not replace one', async () => {
    const c = contract();
    const target = `/v1/file/${createHash('sha256').update(c.dir).digest('hex')}/page/0`;
    for (const body of [Buffer.from('first'), Buffer.from('second')]) {
      const response = await c.http(target, { method: 'POST', body });
      const text = '{"success":true,"message":"Page written successfully"}';
      assert.equal(response?.body.toString(), text);
    }
    assert.equal((await c.http(target))?.body.toString(), 'first');
    const big = await c.http(target, { method: 'PUT', body: Buffer.alloc(10_241) });
    assert.equal(big?.status, '413 Request Entity Too Large');
  });
}

function objectFacts(contract: () => Contract): void {
  test('S3 GET carries length, mtime and ETag; HEAD the same from any worker', async () => {
    const c = contract();
    const ms = mtimeMs(`${c.dir}/f`);
    const date = new Date(ms).toUTCString();
    const reply = await c.s3Owner(c.key('f'));
    assert.equal(reply.status, '200 OK');
    assert.equal(reply.worker, c.ownerIndex('f'));
    assert.equal(reply.body.toString(), 'hello6');
    const head = [
      ['last-modified', date],
      ['Content-Length', '6'],
      ['ETAG', `(len:6, modtime:${ms})`],
      ['Content-Type', 'application/octet-stream'],
    ];
    assert.deepEqual(reply.headers, [...head, ['content-encoding', 'application/octet-stream']]);
    for (let i = 0; i < c.target.info.workers.length; i += 1) {
      const { response, connection } = await exchange(
        c.s3Request(c.key('f'), { method: 'HEAD' }, i),
      );
      assert.equal(response?.status, '200 OK');
      assert.deepEqual(response.headers, head);
      assert.equal((await connection.closed()).length, 0);
    }
  });

  test('S3 GET at another worker is a redirect without a length, ended by a close', async () => {
    const c = contract();
    await writeFile(`${c.dir}/sub/q %+é€`, 'q');
    const owner = c.ownerIndex('sub/q %+é€');
    const { host, s3Port } = c.worker(owner);
    const other = (owner + 1) % c.target.info.workers.length;
    const { response, connection } = await exchange(c.s3Request(c.key('sub/q %+é€'), {}, other));
    assert.equal(response?.status, '307 Temporary Redirect');
    // Encoded once though it would be decoded twice, and not at all beyond ASCII.
    const location = `http://${host}:${s3Port}/${c.bucket}/sub/q%20%25+\xe9?`;
    assert.deepEqual(response.headers, [['location', location]]);
    assert.equal((await connection.closed()).length, 0);
  });

  test('S3 ranges: 206 past the end, 200 for what makes no sense', async () => {
    const c = contract();
    const cases: [string, string, string | undefined, string][] = [
      ['bytes=0-2', '206 Partial Content', 'bytes 0-2/6', 'hel'],
      ['bytes=3-', '206 Partial Content', 'bytes 3-5/6', 'lo6'],
      ['bytes=-2', '206 Partial Content', 'bytes 4-5/6', 'o6'],
      ['bytes=-100', '206 Partial Content', 'bytes 0-5/6', 'hello6'],
      ['bytes=5-100', '206 Partial Content', 'bytes 5-5/6', '6'],
      ['bytes=6-9', '206 Partial Content', 'bytes 0-0/6', ''],
      ['bytes=100-', '206 Partial Content', 'bytes 0-0/6', ''],
      ['bytes=5-2', '200 OK', undefined, 'hello6'],
      ['bytes=-0', '200 OK', undefined, 'hello6'],
      ['bytes=x', '200 OK', undefined, 'hello6'],
      ['bytes=0-1,3-4', '200 OK', undefined, 'hello6'],
      ['Bytes=0-1', '200 OK', undefined, 'hello6'],
    ];
    for (const [range, status, contentRange, body] of cases) {
      const reply = await c.s3Owner(c.key('f'), { headers: [`Range: ${range}`] });
      assert.equal(reply.status, status, range);
      assert.equal(reply.header('content-range'), contentRange, range);
      assert.equal(reply.body.toString(), body, range);
    }
  });

  test('S3 after a file: the next answer on the connection is bytes without a head', async () => {
    const c = contract();
    const { host, s3Port } = c.worker(c.ownerIndex('f'));
    const connection = await RawConnection.open(host, s3Port);
    connection.send(requestBytes({ target: c.key('f') }));
    assert.equal((await connection.response())?.body.toString(), 'hello6');
    const headers = ['Range: bytes=1-2'];
    connection.send(requestBytes({ target: c.key('f'), headers }));
    assert.equal((await connection.bytes(2)).toString(), 'el');
    connection.destroy();
  });

  test('S3 closes after every answer that is not a file', async () => {
    const c = contract();
    const cases: [string, string, string][] = [
      ['GET', c.key('empty'), '200 OK'],
      ['GET', c.key('sub'), '200 OK'],
      ['GET', c.key('sub/'), '200 OK'],
      ['GET', c.key('missing'), '404 Not Found'],
      ['GET', '/missing-bucket/x', '404 Not Found'],
      ['GET', '/missing-bucket', '404 Not Found'],
      ['GET', `/${c.bucket}?list-type=2&delimiter=/`, '200 OK'],
      ['HEAD', c.key('sub'), '404 Not Found'],
      ['HEAD', c.key('sub/'), '200 OK'],
      ['HEAD', c.key('missing'), '404 Not Found'],
      ['HEAD', `/${c.bucket}`, '200 OK'],
      ['HEAD', '/missing-bucket', '404 Not Found'],
      ['POST', `${c.key('f')}?uploads`, '501 Not Implemented'],
      ['GET', `${c.key('f')}?acl`, '501 Not Implemented'],
      ['PATCH', c.key('f'), '501 Not Implemented'],
    ];
    for (const [method, target, status] of cases) {
      const { response, connection } = await exchange(c.s3Request(target, { method }));
      assert.equal(response?.status, status, `${method} ${target}`);
      assert.equal((await connection.closed()).length, 0);
    }
  });

  test('S3 errors are XML that names the UFS path', async () => {
    const c = contract();
    const response = await c.s3(c.key('missing'));
    assert.equal(response.header('content-type'), 'application/xml');
    const xml = response.body.toString();
    assert.match(xml, /^<Error>.*<\/Error>$/);
    const message = `<Message>Path "${c.ufs('missing')}" does not exist.</Message>`;
    for (const element of [message, `<Resource>${c.bucket}/missing</Resource>`]) {
      assert.ok(xml.includes(element), xml);
    }
    assert.ok(xml.includes('<Code>NoSuchKey</Code>'));
  });

  test('S3 has no files directly under the root; HTTP has', async (t) => {
    const c = contract();
    const name = `${c.bucket}.txt`;
    await writeFile(`${c.target.dataDir}/${name}`, 'root');
    t.after(() => rm(`${c.target.dataDir}/${name}`));
    for (const method of ['GET', 'HEAD']) {
      assert.equal((await c.s3(`/${name}`, { method })).status, '404 Not Found');
    }
    const [entry] = json((await c.http(`/v1/info?path=/${name}`))?.body);
    assert.equal(entry?.['mLength'], 4);
  });
}

function nameFacts(contract: () => Contract): void {
  test('S3 keys are decoded twice, so every name but those with ? or \\ can be read', async () => {
    const c = contract();
    await mkdir(`${c.dir}/names`);
    for (const name of AWKWARD_NAMES) await writeFile(`${c.dir}/names/${name}`, `of ${name}`);
    for (const name of AWKWARD_NAMES) {
      const reply = await c.s3Owner(c.key(`names/${name}`));
      assert.equal(reply.status, '200 OK', name);
      assert.equal(reply.body.toString(), `of ${name}`);
      assert.equal(reply.worker, c.ownerIndex(`names/${name}`), name);
    }
    const listed = json((await c.http(`/v1/files?path=${c.path('names')}`))?.body);
    const names = listed.map((entry) => String(entry['mName'])).sort();
    assert.deepEqual(names, [...AWKWARD_NAMES].sort());
  });

  test('a name with ? reads another file, or the directory, and is never listed', async () => {
    const c = contract();
    await mkdir(`${c.dir}/q`);
    for (const name of ['c', 'c?y', '?', 'alone?z']) await writeFile(`${c.dir}/q/${name}`, name);
    assert.equal((await c.s3Owner(c.key('q/c?y'))).body.toString(), 'c');
    const directory = await c.s3(c.key('q/?'));
    assert.deepEqual([directory.status, directory.header('etag')], ['200 OK', undefined]);
    assert.equal((await c.s3(c.key('q/alone?z'))).status, '404 Not Found');
    const [entry] = json((await c.http(`/v1/info?path=${c.path('q/c%3Fy')}`))?.body);
    assert.deepEqual([entry?.['mName'], entry?.['mUfsPath']], ['c', c.ufs('q/c?y')]);
    const listed = json((await c.http(`/v1/files?path=${c.path('q')}`))?.body);
    assert.deepEqual(
      listed.map((found) => found['mName']),
      ['c'],
    );
  });

  test('a backslash in a name is taken for a slash', async () => {
    const c = contract();
    await mkdir(`${c.dir}/back`);
    await writeFile(`${c.dir}/back/a\\b`, '1');
    assert.equal((await c.s3(c.key('back/a\\b'))).status, '404 Not Found');
    const [entry] = json((await c.http(`/v1/files?path=${c.path('back')}`))?.body);
    assert.deepEqual(
      [entry?.['mName'], entry?.['mPath'], entry?.['mUfsPath']],
      ['b', c.path('back/a/b'), c.ufs('back/a\\b')],
    );
    const list = await c.s3(`/${c.bucket}?list-type=2&delimiter=/&prefix=back/`);
    assert.ok(list.body.includes('<Prefix>back/a/</Prefix>'));
  });

  test('one bad entry makes its directory unlistable', async () => {
    const c = contract();
    for (const dir of ['utf8', 'dangling', 'control']) await mkdir(`${c.dir}/${dir}`);
    await writeFile(Buffer.from(`${c.dir}/utf8/i\xff`, 'latin1'), '1');
    symlinkSync('/nowhere/at/all', `${c.dir}/dangling/link`);
    await writeFile(`${c.dir}/control/\u0001`, '1');
    for (const dir of ['utf8', 'dangling']) {
      assert.equal(await c.http(`/v1/files?path=${c.path(dir)}`), undefined, dir);
    }
    // XML cannot hold the name; JSON can.
    assert.equal(json((await c.http(`/v1/files?path=${c.path('control')}`))?.body).length, 1);
    for (const dir of ['utf8', 'dangling', 'control']) {
      const list = await c.s3(`/${c.bucket}?list-type=2&delimiter=/&prefix=${dir}/`);
      assert.equal(list.status, '500 Internal Server Error', dir);
      assert.ok(list.body.includes('<Code>InternalError</Code>'));
    }
    assert.equal((await c.s3(`/${c.bucket}/utf8/i%25FF`)).status, '404 Not Found');
  });

  test('targets that are no URIs are refused in plain text', async () => {
    const c = contract();
    const path = `/${c.bucket}`;
    const cases: [string, string][] = [
      [`${path}/100%`, `Malformed escape pair at index ${path.length + 4}: ${path}/100%`],
      [`${path}/100%25`, 'URLDecoder: Incomplete trailing escape (%) pattern'],
      [`${path}/a"b`, `Illegal character in path at index ${path.length + 2}: ${path}/a"b`],
    ];
    for (const [target, text] of cases) {
      const response = await c.s3(target);
      assert.equal(response.status, '500 Internal Server Error');
      assert.equal(response.header('content-type'), 'text/plain');
      assert.equal(response.body.toString(), text);
    }
  });
}

function listFacts(contract: () => Contract): void {
  test('S3 lists keys and prefixes with exact sizes and times', async () => {
    const c = contract();
    await mkdir(`${c.dir}/list/sub dir`, { recursive: true });
    await writeFile(`${c.dir}/list/a<&é\r`, '12345');
    const time = new Date(mtimeMs(`${c.dir}/list/a<&é\r`)).toISOString();
    for (let i = 0; i < c.target.info.workers.length; i += 1) {
      const list = await c.s3(`/${c.bucket}?list-type=2&delimiter=%2F&prefix=list%2F`, {}, i);
      const xml = list.body.toString();
      assert.match(xml, /^<ListBucketResult>.*<\/ListBucketResult>$/);
      // The order of the elements differs from one JVM to the next.
      const elements = [
        '<version2>true</version2><',
        '<MaxKeys>1000</MaxKeys><',
        '<KeyCount>2</KeyCount><',
        '<IsTruncated>false</IsTruncated><',
        '<CommonPrefixes><Prefix>list/sub dir/</Prefix></CommonPrefixes><',
        `<Name>${c.bucket}</Name><`,
        `<Contents><Key>list/a&lt;&amp;é&#xd;</Key><Size>5</Size><LastModified>${time}` +
          '</LastModified></Contents><',
        '<Prefix>list/</Prefix><',
        '<Delimiter>/</Delimiter><',
      ];
      for (const element of elements) assert.ok(xml.includes(element), `${element} in ${xml}`);
    }
  });

  test('S3 lists a missing directory like an empty one, and a missing bucket as missing', async () => {
    const c = contract();
    for (const prefix of ['empty-dir/', 'missing/']) {
      const list = await c.s3(`/${c.bucket}?list-type=2&delimiter=/&prefix=${prefix}`);
      assert.ok(list.body.includes('<KeyCount>0</KeyCount>'), prefix);
    }
    const missing = await c.s3('/missing-bucket?list-type=2&delimiter=/');
    assert.ok(missing.body.includes('<Code>NoSuchBucket</Code>'));
    const odd = await c.s3(`/${c.bucket}?list-type=2&delimiter=x`);
    assert.equal(odd.status, '412 Precondition Failed');
  });

  test('S3 lists 1000 keys a page and goes on with a token, at any worker', async () => {
    const c = contract();
    await mkdir(`${c.dir}/many/0dir`, { recursive: true });
    for (let i = 0; i < 1005; i += 1) {
      await writeFile(`${c.dir}/many/f${String(i).padStart(4, '0')}`, '');
    }
    const target = `/${c.bucket}?list-type=2&delimiter=/&prefix=many/`;
    const first = (await c.s3(target)).body.toString();
    assert.ok(first.includes('<KeyCount>1000</KeyCount>'));
    assert.ok(first.includes('<IsTruncated>true</IsTruncated>'));
    const token = /<NextContinuationToken>([^<]+)</.exec(first)?.[1] ?? '';
    const hex = Buffer.from('many/f0998').toString('hex');
    assert.equal(token, `${hex}-${createHash('sha256').update(hex).digest('hex')}`);
    const second = (await c.s3(`${target}&continuation-token=${token}`, {}, 1)).body.toString();
    assert.ok(second.includes('<KeyCount>6</KeyCount>'));
    assert.ok(second.includes('<IsTruncated>false</IsTruncated>'));
    assert.ok(second.includes('<Key>many/f0999</Key>'));
    assert.equal((await c.s3(`${target}&continuation-token=x`)).status, '400 Bad Request');
    const rest = (await c.s3(`${target}&start-after=many/f1003`)).body.toString();
    assert.ok(rest.includes('<KeyCount>1</KeyCount>') && rest.includes('many/f1004'));
  });
}

function staleFacts(contract: () => Contract): void {
  test('changes behind the cluster are not seen; a missing path is asked for again', async () => {
    const c = contract();
    await mkdir(`${c.dir}/stale`);
    await writeFile(`${c.dir}/stale/f`, 'old');
    const names = async (): Promise<unknown[]> =>
      json((await c.http(`/v1/files?path=${c.path('stale')}`))?.body).map((e) => e['mName']);
    assert.deepEqual(await names(), ['f']);
    assert.equal((await c.s3Owner(c.key('stale/f'))).body.toString(), 'old');
    assert.equal((await c.s3(c.key('stale/late'), { method: 'HEAD' })).status, '404 Not Found');
    // One worker in three owns both, and that look made it forget the listing.
    assert.deepEqual(await names(), ['f']);
    await writeFile(`${c.dir}/stale/f`, 'changed');
    await writeFile(`${c.dir}/stale/late`, 'late');
    assert.deepEqual(await names(), ['f']);
    assert.equal((await c.s3Owner(c.key('stale/f'))).body.toString(), 'old');
    assert.equal((await c.s3(c.key('stale/late'), { method: 'HEAD' })).status, '200 OK');
    await unlink(`${c.dir}/stale/f`);
    assert.equal((await c.s3Owner(c.key('stale/f'))).body.toString(), 'old');
  });

  test('a listing does not vouch for the status of what it lists', async () => {
    const c = contract();
    await mkdir(`${c.dir}/vouch`);
    await writeFile(`${c.dir}/vouch/f`, '1');
    assert.equal(json((await c.http(`/v1/files?path=${c.path('vouch')}`))?.body).length, 1);
    await unlink(`${c.dir}/vouch/f`);
    assert.equal((await c.s3(c.key('vouch/f'), { method: 'HEAD' })).status, '404 Not Found');
  });
}

function writeFacts(contract: () => Contract): void {
  test('PUT answers the MD5, makes parents, and an overwrite is seen by all at once', async () => {
    const c = contract();
    for (const text of ['first', 'second!']) {
      const { response, connection } = await exchange(c.s3Request(c.key('w/a/b'), put(text)));
      assert.equal(response?.status, '200 OK');
      const md5 = createHash('md5').update(text).digest('hex');
      assert.deepEqual(response.headers, [['ETAG', md5]]);
      assert.equal((await connection.closed()).length, 0);
      assert.equal(readFileSync(`${c.dir}/w/a/b`, 'utf8'), text);
      assert.equal((await c.s3Owner(c.key('w/a/b'))).body.toString(), text);
      for (let i = 0; i < c.target.info.workers.length; i += 1) {
        const [entry] = json((await c.http(`/v1/info?path=${c.path('w/a/b')}`, {}, i))?.body);
        assert.equal(entry?.['mLength'], text.length);
      }
    }
  });

  test('PUT refuses what it cannot do', async () => {
    const c = contract();
    const chunked = await RawConnection.open(c.worker(0).host, c.worker(0).s3Port);
    const headers = ['Transfer-Encoding: chunked'];
    chunked.send(requestBytes({ method: 'PUT', target: c.key('w/chunked'), headers }));
    chunked.send('5\r\nabcde\r\n0\r\n\r\n');
    assert.equal((await chunked.response())?.status, '500 Internal Server Error');
    assert.equal(existsSync(`${c.dir}/w/chunked`), false);
    const bad = await c.s3(c.key('w/md5'), put('abcde', ['Content-MD5: AAAAAAAAAAAAAAAAAAAAAA==']));
    assert.ok(bad.body.includes('<Code>BadDigest</Code>'));
    assert.equal(existsSync(`${c.dir}/w/md5`), false);
    const part = await c.s3(`${c.key('w/part')}?uploadId=1&partNumber=1`, put('x'));
    assert.equal(part.status, '501 Not Implemented');
    const noBucket = await c.s3('/missing-bucket/x', put('x'));
    assert.ok(noBucket.body.includes('<Code>NoSuchBucket</Code>'));
  });

  test('PUT of a key that ends in a slash makes a directory', async () => {
    const c = contract();
    assert.deepEqual((await c.s3(c.key('w/made/'), put(''))).headers, []);
    assert.ok(statSync(`${c.dir}/w/made`).isDirectory());
  });

  test('copy works for files, and its source is decoded once', async () => {
    const c = contract();
    await mkdir(`${c.dir}/copy`);
    await writeFile(`${c.dir}/copy/a b+`, 'copied');
    const source = `x-amz-copy-source: /${c.bucket}/copy/a%20b%2B`;
    const done = await c.s3(c.key('copy/to'), put('', [source]));
    assert.ok(done.body.includes(createHash('md5').update('copied').digest('hex')));
    assert.equal(readFileSync(`${c.dir}/copy/to`, 'utf8'), 'copied');
    const dir = await c.s3(c.key('copy/d'), put('', [`x-amz-copy-source: /${c.bucket}/sub`]));
    assert.equal(dir.status, '500 Internal Server Error');
    const none = await c.s3(c.key('copy/n'), put('', [`x-amz-copy-source: /${c.bucket}/none`]));
    assert.equal(none.status, '404 Not Found');
  });

  test('DELETE answers 204 whatever it did', async () => {
    const c = contract();
    await mkdir(`${c.dir}/del/full/x`, { recursive: true });
    await mkdir(`${c.dir}/del/bare`);
    await writeFile(`${c.dir}/del/f`, '1');
    for (const key of ['del/f', 'del/f', 'del/bare', 'del/full', 'del/none']) {
      assert.equal((await c.s3(c.key(key), { method: 'DELETE' })).status, '204 No Content', key);
    }
    assert.equal(existsSync(`${c.dir}/del/f`), false);
    assert.equal(existsSync(`${c.dir}/del/bare`), false);
    assert.equal(existsSync(`${c.dir}/del/full`), true);
    assert.equal((await c.s3(c.key('del/f'), { method: 'HEAD' })).status, '404 Not Found');
  });

  test('a listing is renewed only when its owner also owns the file that changed', async () => {
    const c = contract();
    await mkdir(`${c.dir}/renew`);
    const list = async (): Promise<unknown[]> =>
      json((await c.http(`/v1/files?path=${c.path('renew')}`))?.body).map((e) => e['mName']);
    const directoryOwner = c.ownerIndex('renew');
    const names = Array.from({ length: 60 }, (_, i) => `f${i}`);
    const elsewhere = names.find((name) => c.ownerIndex(`renew/${name}`) !== directoryOwner);
    const same = names.find((name) => c.ownerIndex(`renew/${name}`) === directoryOwner);
    assert.ok(elsewhere !== undefined && same !== undefined);
    assert.deepEqual(await list(), []);
    await c.s3(c.key(`renew/${elsewhere}`), put('1'));
    assert.deepEqual(await list(), []);
    await c.s3(c.key(`renew/${same}`), put('1'));
    assert.deepEqual(new Set(await list()), new Set([elsewhere, same]));
  });
}

function clusterFacts(contract: () => Contract): void {
  test('etcd holds each worker under a leased and under a kept key, with equal values', async () => {
    const c = contract();
    const { etcdHost, etcdPort, clusterName, workers } = c.target.info;
    const url = `http://${etcdHost}:${etcdPort}`;
    const alive = await membersOf(url, `/ServiceDiscovery/${clusterName}/`);
    const known = await membersOf(url, `/DHT/${clusterName}/AUTHORIZED/`);
    assert.deepEqual(alive.map(({ id }) => id).sort(), workers.map(({ id }) => id).sort());
    for (const { id, value, lease } of alive) {
      assert.ok(lease !== undefined && lease !== '0');
      const kept = known.find((member) => member.id === id);
      assert.equal(kept?.lease ?? '0', '0');
      assert.equal(kept?.value, value);
      const parsed = JSON.parse(value) as Record<string, Record<string, unknown>>;
      assert.deepEqual(Object.keys(parsed), [
        'Identity',
        'WorkerNetAddress',
        'State',
        'GenerationNumber',
        'ServiceEntityName',
      ]);
      const worker = workers.find((candidate) => candidate.id === id);
      assert.equal(parsed['WorkerNetAddress']?.['HttpServerPort'], worker?.httpPort);
      assert.equal(parsed['Identity']?.['identifier'], id.slice(7).replaceAll('-', ''));
    }
  });

  test('the ring of the redirects is the ring that we compute', async () => {
    const c = contract();
    await mkdir(`${c.dir}/ring`);
    for (let i = 0; i < 40; i += 1) {
      const path = `ring/file-${i}`;
      await writeFile(`${c.dir}/${path}`, 'x');
      assert.equal((await c.s3Owner(c.key(path))).worker, c.ownerIndex(path), path);
    }
  });
}
