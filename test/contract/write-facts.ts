/** What writing to a worker does besides what it answers: the facts that the writer stands on. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { mkdir, rename, rm, unlink, writeFile } from 'node:fs/promises';
import { test } from 'node:test';
import { RawConnection, requestBytes } from '../support/raw-http.ts';
import { waitFor } from '../support/wait.ts';
import type { Contract } from './target.ts';

/** Long enough that a copy of it can be caught in the middle. */
const LONG_BYTES = 48 * 1024 * 1024;
/** A copy of it takes a second or two. */
const ABANDONED_MS = 8000;

export function put(body: string | Buffer, headers: readonly string[] = []) {
  return { method: 'PUT', body: Buffer.from(body), headers };
}

export function afterwardsFacts(contract: () => Contract): void {
  const head = async (key: string, index = 0): Promise<string> => {
    const answer = await contract().s3(key, { method: 'HEAD' }, index);
    return answer.header('etag') ?? answer.status;
  };

  test('PUT of no bytes makes an empty file', async () => {
    const c = contract();
    await c.s3(c.key('after/none'), put('x'));
    const answer = await c.s3(c.key('after/none'), put(''));
    assert.equal(answer.header('etag'), createHash('md5').update('').digest('hex'));
    assert.equal(statSync(`${c.dir}/after/none`).size, 0);
    assert.match(await head(c.key('after/none')), /^\(len:0, /);
  });

  test('making a directory of the name of a file is a 200 and makes all look again', async () => {
    const c = contract();
    await mkdir(`${c.dir}/again`);
    for (let i = 0; i < 6; i += 1) {
      const key = c.key(`again/${i}`);
      await c.s3(key, put('old'));
      assert.equal((await c.s3Owner(key)).body.toString(), 'old');
      await writeFile(`${c.dir}/.new`, `newer ${i}`);
      await rename(`${c.dir}/.new`, `${c.dir}/again/${i}`);
      assert.equal((await c.s3Owner(key)).body.toString(), 'old');
      const answer = await c.s3(`${key}/`, put(''), i % c.target.info.workers.length);
      assert.equal(answer.status, '200 OK');
      for (let worker = 0; worker < c.target.info.workers.length; worker += 1) {
        assert.match(await head(key, worker), /^\(len:7, /);
      }
      assert.equal((await c.s3Owner(key)).body.toString(), `newer ${i}`);
      assert.equal(readFileSync(`${c.dir}/again/${i}`, 'utf8'), `newer ${i}`);
    }
  });

  test('DELETE of what is gone already makes all look again', async () => {
    const c = contract();
    await c.s3(c.key('after/gone'), put('1'));
    assert.match(await head(c.key('after/gone')), /^\(len:1, /);
    await unlink(`${c.dir}/after/gone`);
    assert.match(await head(c.key('after/gone')), /^\(len:1, /);
    await c.s3(c.key('after/gone'), { method: 'DELETE' });
    for (const worker of [0, 1]) assert.match(await head(c.key('after/gone'), worker), /^404/);
  });

  test('a listing is read anew after a look at a missing name that has the same owner', async () => {
    const c = contract();
    // What is done with a name in the directory, and whether the listing is read anew by it.
    const cases: [string, (key: string, file: string) => Promise<unknown>, boolean][] = [
      ['nothing', () => Promise.resolve(), false],
      ['HEAD of a missing name', (key) => c.s3(key, { method: 'HEAD' }), true],
      ['GET of a missing name', (key) => c.s3(key), true],
      ['info of a missing name', (key) => c.http(`/v1/info?path=${key}`), true],
      ['list of a missing name', (key) => c.http(`/v1/files?path=${key}`), false],
      ['DELETE of a missing name', (key) => c.s3(key, { method: 'DELETE' }, 1), true],
      ['PUT of a file', (key) => c.s3(key, put('1')), true],
      ['making a directory', (key) => c.s3(`${key}/`, put('')), true],
      ['a first look at a file', (key, file) => madeThen(file, () => c.s3(key)), false],
      ['a look at the directory', (key) => c.s3(`${dirOf(key)}/`, { method: 'HEAD' }), false],
      ['making the directory again', (key) => c.s3(`${dirOf(key)}/`, put('')), false],
    ];
    const madeThen = async (file: string, then: () => Promise<unknown>): Promise<void> => {
      await writeFile(file, '1');
      await then();
    };
    const dirOf = (key: string): string => key.slice(0, key.lastIndexOf('/'));
    let count = 0;
    for (const [what, act, isRenewing] of cases) {
      for (const isSameOwner of [true, false]) {
        count += 1;
        const dir = `listed-${count}`;
        await mkdir(`${c.dir}/${dir}`);
        await writeFile(`${c.dir}/${dir}/old`, '1');
        assert.deepEqual(await namesIn(dir, 0), ['old']);
        await unlink(`${c.dir}/${dir}/old`);
        await writeFile(`${c.dir}/${dir}/new`, '1');
        const name = nameIn(dir, isSameOwner);
        await act(c.key(name), `${c.dir}/${name}`);
        for (let worker = 0; worker < c.target.info.workers.length; worker += 1) {
          const isNew = (await namesIn(dir, worker)).includes('new');
          assert.equal(isNew, isRenewing && isSameOwner, `${what}, the same owner: ${isSameOwner}`);
        }
      }
    }
  });

  test('the listing of a directory outlives it, until a missing name in it is looked at', async () => {
    const c = contract();
    await mkdir(`${c.dir}/outlived`);
    await writeFile(`${c.dir}/outlived/old`, '1');
    assert.deepEqual(await namesIn('outlived', 0), ['old']);
    await unlink(`${c.dir}/outlived/old`);
    await c.s3(c.key('outlived'), { method: 'DELETE' });
    assert.equal(existsSync(`${c.dir}/outlived`), false);
    await c.s3(`${c.key('outlived')}/`, put(''));
    assert.deepEqual(await namesIn('outlived', 1), ['old']);
    await c.s3(c.key(nameIn('outlived', true)), { method: 'HEAD' });
    assert.deepEqual(await namesIn('outlived', 1), []);
  });

  async function namesIn(dir: string, worker: number): Promise<string[]> {
    const c = contract();
    const answer = await c.http(`/v1/files?path=${c.path(dir)}`, {}, worker);
    const entries = JSON.parse(answer?.body.toString() ?? '[]') as { readonly mName: string }[];
    return entries.map((entry) => entry.mName).sort();
  }

  /** Whether the worker that owns the directory owns the name too. */
  function nameIn(dir: string, isSameOwner: boolean): string {
    const c = contract();
    for (let i = 0; i < 10_000; i += 1) {
      const name = `${dir}/.look-${i}`;
      if ((c.ownerIndex(name) === c.ownerIndex(dir)) === isSameOwner) return name;
    }
    throw new Error('One worker owns all names');
  }

  test('DELETE of a directory goes by what the under store holds, not by a listing', async () => {
    const c = contract();
    const list = (name: string) => c.http(`/v1/files?path=${c.path(name)}`);
    await mkdir(`${c.dir}/was-full`);
    await writeFile(`${c.dir}/was-full/f`, '1');
    await mkdir(`${c.dir}/was-empty`);
    await list('was-full');
    await list('was-empty');
    await unlink(`${c.dir}/was-full/f`);
    await writeFile(`${c.dir}/was-empty/f`, '1');
    for (const name of ['was-full', 'was-empty']) {
      await c.s3(c.key(name), { method: 'DELETE' });
    }
    assert.equal(existsSync(`${c.dir}/was-full`), false);
    assert.deepEqual(readdirSync(`${c.dir}/was-empty`), ['f']);
    assert.match(await head(`${c.key('was-full')}/`), /^404/);
    assert.match(await head(`${c.key('was-empty')}/`), /^200/);
  });

  test('DELETE with a slash at its end deletes a file all the same', async () => {
    const c = contract();
    await c.s3(c.key('after/slash'), put('1'));
    await c.s3(`${c.key('after/slash')}/`, { method: 'DELETE' });
    assert.equal(existsSync(`${c.dir}/after/slash`), false);
  });

  test('a bucket is made behind a 500, and deleted when it is empty', async () => {
    const c = contract();
    const bucket = `${c.bucket}-made`;
    const dir = `${c.target.dataDir}/${bucket}`;
    assert.equal((await c.s3(`/${bucket}`, put(''))).status, '500 Internal Server Error');
    assert.ok(statSync(dir).isDirectory());
    await c.s3(`/${bucket}/f`, put('1'));
    for (const isThere of [true, false]) {
      assert.equal((await c.s3(`/${bucket}`, { method: 'DELETE' })).status, '204 No Content');
      assert.equal(existsSync(dir), isThere);
      await rm(`${dir}/f`, { force: true });
    }
  });

  test('what stands in the way of a PUT stays and stays visible', async () => {
    const c = contract();
    await mkdir(`${c.dir}/after/way`, { recursive: true });
    await c.s3(c.key('after/file'), put('1'));
    assert.match((await c.s3(c.key('after/way'), put('x'))).status, /^500/);
    assert.match((await c.s3(c.key('after/file/x'), put('x'))).status, /^500/);
    assert.ok(statSync(`${c.dir}/after/way`).isDirectory());
    assert.match(await head(c.key('after/file')), /^\(len:1, /);
  });

  test('files directly under the root are reached through any bucket and ".."', async () => {
    const c = contract();
    const name = `${c.bucket}-root-file`;
    const key = `/${c.bucket}/../${name}`;
    const path = `${c.target.dataDir}/${name}`;
    try {
      assert.equal((await c.s3(key, put('first'))).status, '200 OK');
      assert.equal(readFileSync(path, 'utf8'), 'first');
      assert.match(await head(key), /^\(len:5, /);
      assert.equal((await c.s3Owner(key)).body.toString(), 'first');
      await writeFile(path, 'second!');
      await c.s3(`${key}/`, put(''));
      assert.match(await head(key), /^\(len:7, /);
      const copy = put('', [`x-amz-copy-source: ${key}`]);
      assert.equal((await c.s3(c.key('after/root-copy'), copy)).status, '200 OK');
      assert.equal(readFileSync(`${c.dir}/after/root-copy`, 'utf8'), 'second!');
      await c.s3(key, { method: 'DELETE' });
      assert.equal(existsSync(path), false);
    } finally {
      await rm(path, { force: true });
    }
  });
}

/**
 * Requests that end in the middle. Real workers were seen to answer on some connections only after many
 * seconds from then on, so these come last, and ask again.
 */
export function cutFacts(contract: () => Contract): void {
  const head = async (key: string, index = 0): Promise<string> => {
    const answer = await contract().s3(key, { method: 'HEAD' }, index);
    return answer.header('etag') ?? answer.status;
  };

  test('a copy hides its target while it runs; without its client it ends, or is made again', async () => {
    const c = contract();
    await mkdir(`${c.dir}/long`);
    await writeFile(`${c.dir}/long/from`, randomBytes(LONG_BYTES));
    const source = `x-amz-copy-source: /${c.bucket}/long/from`;
    const copy = { method: 'PUT', target: c.key('long/to'), body: Buffer.alloc(0) };
    // Missing for a moment: the worker removes the target before it makes it anew.
    const size = (): number | undefined =>
      statSync(`${c.dir}/long/to`, { throwIfNoEntry: false })?.size;
    for (const leaves of [false, true]) {
      await c.s3(c.key('long/to'), put('old'));
      const { host, s3Port } = c.worker(0);
      const connection = await RawConnection.open(host, s3Port);
      connection.send(requestBytes({ ...copy, headers: [source] }));
      await waitFor('the copy to begin', () => size() !== 3);
      if (leaves) connection.destroy();
      const known = ['404 Not Found', '(len:3', `(len:${LONG_BYTES}`];
      const isWhole = async (): Promise<boolean> => {
        const told = await head(c.key('long/to'), 1);
        assert.ok(known.includes(told.replace(/, .*/, '')), told);
        return told.startsWith(`(len:${LONG_BYTES},`);
      };
      if (leaves) {
        // One that has hardly begun may end here, and leaves a beginning that nobody is shown.
        const untilMs = performance.now() + ABANDONED_MS;
        const isOver = async () => (await isWhole()) || performance.now() > untilMs;
        await waitFor('the copy to end or not', isOver);
        const again = { ...copy, headers: [source] };
        // Refused, or left without an answer, as long as a worker holds on to the one before.
        const isCopied = async () => (await c.s3Anywhere(copy.target, again)).status === '200 OK';
        await waitFor('the copy to be made again', isCopied);
      } else {
        await waitFor('the copy to end', isWhole);
        assert.equal((await connection.response())?.status, '200 OK');
        connection.destroy();
      }
      assert.ok(await isWhole());
      assert.equal(size(), LONG_BYTES);
    }
  });

  test('a file whose PUT was cut is missing until it is written again, at any worker', async () => {
    const c = contract();
    await c.s3Anywhere(c.key('cut/f'), put('whole before'));
    const { host, s3Port } = c.worker(0);
    const size = (): number => statSync(`${c.dir}/cut/f`, { throwIfNoEntry: false })?.size ?? 0;
    const isGone = (): boolean => size() !== 12 && size() > 0;
    let connection = await RawConnection.open(host, s3Port);
    // A real worker leaves a request alone now and then: another one is served.
    for (let turn = 1; !isGone(); turn += 1) {
      const text = requestBytes({ method: 'PUT', target: c.key('cut/f') }).toString('latin1');
      connection.send(text.replace('\r\n\r\n', '\r\nContent-Length: 100000\r\n\r\n'));
      connection.send(Buffer.alloc(50_000, 'q'));
      try {
        await waitFor('the old content to be gone', isGone, 8_000);
      } catch (error) {
        connection.destroy();
        if (turn === 4) throw error;
        connection = await RawConnection.open(host, s3Port);
      }
    }
    connection.destroy();
    assert.ok(size() < 100_000, 'its beginning stays under the final name');
    // Not at once: the worker has to notice first.
    const isMissing = async (worker: number) =>
      (await head(c.key('cut/f'), worker)).startsWith('404');
    for (const worker of [0, 1]) await waitFor('it to be missing', () => isMissing(worker));
    const isWritten = async () =>
      (await c.s3Anywhere(c.key('cut/f'), put('again'), 1)).status === '200 OK';
    await waitFor('it to be written again', isWritten);
    for (const worker of [0, 1]) assert.match(await head(c.key('cut/f'), worker), /^\(len:5, /);
    assert.equal((await c.s3Owner(c.key('cut/f'))).body.toString(), 'again');
  });
}
