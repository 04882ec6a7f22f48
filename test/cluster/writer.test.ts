/**
 * Writes to three dev workers under faults at every step: an error or the right bytes, and never
 * anything else under the final name where the strategy promises that.
 */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { mkdir, readdir, rename, writeFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { byteStringOfBytes, byteStringOfText } from '../../src/base/byte-string.ts';
import { isKeptName } from '../../src/base/kept-names.ts';
import type { ByteString } from '../../src/base/byte-string.ts';
import { systemClock } from '../../src/base/clock.ts';
import { silentLogger } from '../../src/base/logger.ts';
import { ignoredEvents } from '../../src/cluster/cluster-events.ts';
import type {
  ClusterErrorCode,
  ClusterWriter,
  FileStatus,
  UploadStrategy,
} from '../../src/cluster/index.ts';
import {
  ClusterError,
  createWorkerClient,
  MountTable,
  RoutedClient,
  UploadUnfinished,
} from '../../src/cluster/index.ts';
import { ViewHolder } from '../../src/cluster/membership/membership.ts';
import type { Devcluster, FaultRule } from '../../src/devcluster/index.ts';
import { FileUnderStore } from '../../src/ufs/index.ts';
import { startTestDevcluster, TEST_PAGE_SIZE_BYTES } from '../support/devcluster.ts';
import { skipReason } from '../support/skip.ts';
import type { Cleanup } from '../support/temp-dir.ts';
import { heldMembership } from '../support/held-membership.ts';
import { waitFor } from '../support/wait.ts';

const path = byteStringOfText;
const live = (): { signal: AbortSignal } => ({ signal: new AbortController().signal });

function bytesOf(content: Buffer, chunkBytes = 64 * 1024) {
  return {
    lengthBytes: content.length,
    async *open(): AsyncGenerator<Uint8Array> {
      for (let at = 0; at < content.length; at += chunkBytes) {
        yield await Promise.resolve(content.subarray(at, at + chunkBytes));
      }
    },
  };
}

interface Setting {
  readonly strategy?: UploadStrategy;
  readonly hasStore?: boolean;
  readonly stallMs?: number;
}

async function rejectsWith(work: Promise<unknown>, ...codes: ClusterErrorCode[]): Promise<Error> {
  const error = await work.then(
    () => assert.fail(`No error, wanted ${codes.join(' or ')}`),
    (failure: unknown) => failure,
  );
  assert.ok(error instanceof ClusterError, String(error));
  assert.ok(codes.includes(error.code), `${error.code}: ${error.message}`);
  return error;
}

for (const personality of ['oss', 'enterprise'] as const) {
  describe(`writes to an ${personality} cluster`, { skip: skipReason('etcd') }, () => {
    const undo: (() => Promise<void>)[] = [];
    const cleanup: Cleanup = (work) => undo.unshift(work);
    let cluster: Devcluster;
    let dir = '';

    before(async () => {
      cluster = await startTestDevcluster(cleanup, { personality });
      dir = `${cluster.dataDir}/b`;
      await mkdir(dir);
    });
    after(async () => {
      for (const work of undo) await work();
    });

    /** A client for each test: a breaker that one test opened is not the next one's. */
    function clientFor(setting: Setting, onEnd: (work: () => Promise<void>) => void): RoutedClient {
      const holder = new ViewHolder();
      holder.replace(
        cluster.workers.map(({ config }) => ({
          id: config.id,
          identifier: config.identifier,
          version: 1,
          host: config.host,
          httpPort: config.httpPort,
          s3Port: config.s3Port,
        })),
      );
      const client = new RoutedClient({
        client: createWorkerClient({
          pageSizeBytes: TEST_PAGE_SIZE_BYTES,
          timeouts: { headersMs: 5_000 },
        }),
        membership: heldMembership(holder),
        mounts: MountTable.ofRoot(cluster.info.ufs),
        pageSizeBytes: TEST_PAGE_SIZE_BYTES,
        virtualNodes: personality === 'oss' ? 5 : 2000,
        underStore:
          setting.hasStore === true
            ? new FileUnderStore({ root: byteStringOfText(cluster.dataDir) })
            : undefined,
        uploadStrategy: setting.strategy,
        uploadStallMs: setting.stallMs ?? 2_000,
        clock: systemClock,
        logger: silentLogger,
        events: ignoredEvents,
      });
      onEnd(() => client.close());
      return client;
    }

    async function faults(rules: readonly FaultRule[], seed = 1): Promise<void> {
      await Promise.all(cluster.workers.map((worker) => worker.setFaults(rules, seed)));
    }

    function leftovers(): string[] {
      const uploads = `${dir}/.alluxio-fuse-uploads`;
      return existsSync(uploads) ? readdirSync(uploads) : [];
    }

    async function readBack(client: RoutedClient, at: ByteString): Promise<Buffer> {
      const context = { ...live(), deadlineMs: performance.now() + 20_000 };
      const status = await client.stat(at, context);
      const content = Buffer.alloc(status.lengthBytes);
      const sink = (chunk: Uint8Array, offset: number): void => content.set(chunk, offset);
      const range = { path: at, offset: 0, lengthBytes: content.length, version: status };
      await client.read(range, sink, context);
      return content;
    }

    const settings: Setting[] = [{ strategy: 'temporary-and-copy' }];
    if (personality === 'oss') settings.push({ strategy: 'auto', hasStore: true });

    for (const setting of settings) {
      const label = setting.hasStore === true ? 'rename' : 'temporary-and-copy';

      test(`${label}: creates, replaces, and every worker tells of it`, async (t) => {
        const client = clientFor(setting, (work) => t.after(work));
        const at = path(`/b/${label}-file`);
        for (const lengthBytes of [0, 1, 300_000, 65_536, 2_000_000]) {
          const content = randomBytes(lengthBytes);
          const written = await client.writer.putFile(at, bytesOf(content), live());
          assert.equal(written.lengthBytes, lengthBytes);
          assert.equal(written.strategy, label);
          assert.equal(written.mtimeMs, Math.floor(statSync(`${dir}/${label}-file`).mtimeMs));
          assert.deepEqual(readFileSync(`${dir}/${label}-file`), content);
          assert.deepEqual(await readBack(client, at), content);
          const md5 = createHash('md5').update(content).digest('hex');
          if (label !== 'rename') assert.equal(written.md5, md5);
          assert.deepEqual(leftovers(), []);
        }
      });

      test(`${label}: rename and copy replace their target, and take files only`, async (t) => {
        const { writer } = clientFor(setting, (work) => t.after(work));
        const [from, to, other] = ['from', 'to', 'other'].map((n) => path(`/b/${label}-${n}`));
        assert.ok(from !== undefined && to !== undefined && other !== undefined);
        await writer.putFile(from, bytesOf(Buffer.from('source')), live());
        await writer.putFile(to, bytesOf(Buffer.from('target, longer')), live());
        assert.equal((await writer.copyFile(from, other, live())).lengthBytes, 6);
        assert.equal((await writer.renameFile(from, to, live())).lengthBytes, 6);
        assert.equal(readFileSync(`${dir}/${label}-to`, 'utf8'), 'source');
        assert.equal(existsSync(`${dir}/${label}-from`), false);
        await rejectsWith(writer.renameFile(from, to, live()), 'not-found');
        await rejectsWith(writer.deleteFile(from, live()), 'not-found');
        const away = path(`/b/${label}-dir`);
        await writer.makeDirectory(away, live());
        await rejectsWith(writer.renameFile(to, away, live()), 'is-a-directory', 'exists');
        await rejectsWith(
          writer.putFile(away, bytesOf(Buffer.from('x')), live()),
          'is-a-directory',
        );
        await rejectsWith(writer.deleteFile(away, live()), 'is-a-directory');
        assert.ok(statSync(`${dir}/${label}-dir`).isDirectory());
        assert.equal(readFileSync(`${dir}/${label}-to`, 'utf8'), 'source');
        await writer.deleteFile(to, live());
        assert.equal(existsSync(`${dir}/${label}-to`), false);
      });
    }

    if (personality === 'oss') {
      test('what changed past the workers they tell once they are told', async (t) => {
        const client = clientFor({ strategy: 'auto', hasStore: true }, (work) => t.after(work));
        const { writer } = client;
        const stat = (at: ByteString): Promise<FileStatus> =>
          client.stat(at, { ...live(), deadlineMs: performance.now() + 20_000 });
        const [from, to] = [path('/b/past from'), path('/b/past to')];
        await writer.putFile(from, bytesOf(Buffer.from('source')), live());
        await writer.putFile(to, bytesOf(Buffer.from('target, longer')), live());
        assert.deepEqual([(await stat(from)).lengthBytes, (await stat(to)).lengthBytes], [6, 14]);
        // As a rename whose process was killed before it told anybody.
        await rename(`${dir}/past from`, `${dir}/past to`);
        assert.deepEqual([(await stat(from)).lengthBytes, (await stat(to)).lengthBytes], [6, 14]);
        assert.equal(await writer.statStored(from, live()), undefined);
        assert.equal((await writer.statStored(to, live()))?.lengthBytes, 6);
        await writer.tellWorkers(to, live());
        assert.equal((await stat(to)).lengthBytes, 6);
        // Of what seems to be gone they are told only if it is known to have been moved away.
        await writer.tellWorkers(from, live());
        const known = await stat(from);
        await writer.tellWorkers(from, { ...live(), moved: { ...known, mtimeMs: 1 } });
        assert.equal((await stat(from)).lengthBytes, 6);
        await writer.tellWorkers(from, { ...live(), moved: known });
        await rejectsWith(stat(from), 'not-found');
        await writer.tellWorkers(path('/b'), live());
        assert.equal((await stat(path('/b'))).type, 'directory');
      });
    }

    test('directories: exists, not-empty and not-a-directory for certain', async (t) => {
      const client = clientFor({ strategy: 'temporary-and-copy' }, (work) => t.after(work));
      const { writer } = client;
      const bucket = path('/bucket');
      await writer.makeDirectory(bucket, live());
      await rejectsWith(writer.makeDirectory(bucket, live()), 'exists');
      const at = path('/bucket/d e+%');
      const made = await writer.makeDirectory(at, live());
      assert.equal(made.type, 'directory');
      await rejectsWith(writer.makeDirectory(at, live()), 'exists');
      await writer.putFile(path('/bucket/d e+%/f'), bytesOf(Buffer.from('1')), live());
      await rejectsWith(writer.makeDirectory(path('/bucket/d e+%/f'), live()), 'exists');
      await rejectsWith(writer.removeDirectory(at, live()), 'not-empty');
      await rejectsWith(writer.removeDirectory(bucket, live()), 'not-empty');
      await rejectsWith(writer.removeDirectory(path('/bucket/d e+%/f'), live()), 'not-a-directory');
      assert.equal(readFileSync(`${cluster.dataDir}/bucket/d e+%/f`, 'utf8'), '1');
      await writer.deleteFile(path('/bucket/d e+%/f'), live());
      await writer.removeDirectory(at, live());
      await rejectsWith(writer.removeDirectory(at, live()), 'not-found');
      // The directory of uploads is ours: it does not keep the bucket.
      const names = await readdir(`${cluster.dataDir}/bucket`);
      assert.ok(names.every((name) => isKeptName(false, path(name))));
      await writer.removeDirectory(bucket, live());
      assert.equal(existsSync(`${cluster.dataDir}/bucket`), false);
    });

    test('names that no worker can be told go through the store, or are refused', async (t) => {
      const invalid = byteStringOfBytes(Buffer.from([0x2f, 0x62, 0x2f, 0xff, 0x66]));
      const content = bytesOf(Buffer.from('odd'));
      const bare = clientFor({}, (work) => t.after(work)).writer;
      const stored = clientFor({ hasStore: true }, (work) => t.after(work)).writer;
      for (const at of [path('/b/what?'), path('/b/back\\slash'), invalid]) {
        await rejectsWith(bare.putFile(at, content, live()), 'inexpressible');
        await rejectsWith(bare.makeDirectory(at, live()), 'inexpressible');
        assert.equal((await stored.putFile(at, content, live())).lengthBytes, 3);
        await rejectsWith(stored.makeDirectory(at, live()), 'exists');
        await stored.renameFile(at, path('/b/plain again'), live());
        assert.equal(readFileSync(`${dir}/plain again`, 'utf8'), 'odd');
        await stored.renameFile(path('/b/plain again'), at, live());
        await stored.deleteFile(at, live());
        await stored.makeDirectory(at, live());
        await stored.removeDirectory(at, live());
      }
      assert.deepEqual(leftovers(), []);
    });

    test('what an upload left is found by its token and removed', async (t) => {
      const { writer } = clientFor({ strategy: 'temporary-and-copy' }, (work) => t.after(work));
      const temporary = writer.temporaryPathFor(path('/b/x/y'), 'token-1');
      assert.equal(temporary, '/b/.alluxio-fuse-uploads/token-1');
      await mkdir(`${dir}/.alluxio-fuse-uploads`, { recursive: true });
      await writeFile(`${dir}/.alluxio-fuse-uploads/token-1`, 'half');
      await writer.removeTemporary(temporary, live());
      await writer.removeTemporary(temporary, live());
      assert.deepEqual(leftovers(), []);
      for (const foreign of ['/b/token-1', '/b/x/y/.alluxio-fuse-uploads/t', '/b']) {
        await rejectsWith(writer.removeTemporary(path(foreign), live()), 'unsupported');
      }
    });

    test('a source that fails or is cancelled ends the upload, and nothing is changed', async (t) => {
      const { writer } = clientFor({ strategy: 'temporary-and-copy' }, (work) => t.after(work));
      const at = path('/b/sourced');
      await writer.putFile(at, bytesOf(Buffer.from('before')), live());
      const controller = new AbortController();
      const token = 'sourced';
      const upload = { ...live(), token };
      const source = (end: () => void) => ({
        lengthBytes: 10_000_000,
        async *open(): AsyncGenerator<Uint8Array> {
          yield await Promise.resolve(Buffer.alloc(100_000));
          end();
          yield Buffer.alloc(100_000);
        },
      });
      const fails = source(() => {
        throw new Error('The disk is gone');
      });
      const failure = await rejectsWith(writer.putFile(at, fails, upload), 'protocol');
      assert.match(failure.message, /The disk is gone/);
      const short = await rejectsWith(
        writer.putFile(
          at,
          source(() => undefined),
          upload,
        ),
        'protocol',
      );
      assert.match(short.message, /200000 of 10000000/);
      const cancelled = source(() => controller.abort());
      const { signal } = controller;
      await rejectsWith(writer.putFile(at, cancelled, { signal, token }), 'cancelled');
      assert.equal(readFileSync(`${dir}/sourced`, 'utf8'), 'before');
      // The worker may have been about to make the file when the upload was taken away.
      await waitFor('the uploads to be gone', async () => {
        await writer.removeTemporary(writer.temporaryPathFor(at, token), live());
        return leftovers().length === 0;
      });
    });

    test('a worker that takes no more bytes ends the upload, however long that would be', async (t) => {
      const setting = { strategy: 'temporary-and-copy', stallMs: 300 } as const;
      const { writer } = clientFor(setting, (work) => t.after(work));
      await faults([{ port: 's3', method: 'PUT', action: { kind: 'hang' } }]);
      const never = {
        lengthBytes: 1_000_000_000,
        async *open(): AsyncGenerator<Uint8Array> {
          yield Buffer.alloc(1000);
          await new Promise((_resolve, reject) => {
            setTimeout(() => reject(new Error('Too late')), 20_000).unref();
          });
        },
      };
      const begun = performance.now();
      await rejectsWith(writer.putFile(path('/b/never'), never, live()), 'timeout');
      await faults([]);
      assert.ok(performance.now() - begun < 15_000);
      assert.equal(existsSync(`${dir}/never`), false);
    });

    if (personality === 'oss') {
      test('files directly under the root are written through a bucket', async (t) => {
        const client = clientFor({ strategy: 'temporary-and-copy' }, (work) => t.after(work));
        const { writer } = client;
        const at = path('/root-file');
        await writer.putFile(at, bytesOf(Buffer.from('rooted')), live());
        assert.equal(readFileSync(`${cluster.dataDir}/root-file`, 'utf8'), 'rooted');
        await writer.renameFile(at, path('/b/unrooted'), live());
        await writer.renameFile(path('/b/unrooted'), at, live());
        await writer.deleteFile(at, live());
        assert.deepEqual(readdirSync(cluster.dataDir).includes('root-file'), false);
      });

      test('a copy that fails at every worker leaves a repairable upload', async (t) => {
        const client = clientFor({ strategy: 'temporary-and-copy' }, (work) => t.after(work));
        const { writer } = client;
        const at = path('/b/unfinished');
        await writer.putFile(at, bytesOf(Buffer.from('before')), live());
        const cut = { kind: 'cut-copy', afterBytes: 1000 } as const;
        await faults([{ port: 's3', header: 'x-amz-copy-source', action: cut }]);
        const content = randomBytes(200_000);
        const upload = { ...live(), token: 'unfinished-1' };
        const failure = await rejectsWith(
          writer.putFile(at, bytesOf(content), upload),
          'unavailable',
        );
        await faults([]);
        assert.ok(failure instanceof UploadUnfinished);
        assert.deepEqual(leftovers(), ['unfinished-1']);
        await writer.finishUpload(at, failure.content, { ...live(), token: failure.token });
        assert.deepEqual(await readBack(client, at), content);
        assert.deepEqual(leftovers(), []);
      });

      test(
        'every fault at every step: an error or the right bytes',
        { timeout: 240_000 },
        async (t) => {
          await everyFault(t);
        },
      );
    }

    async function everyFault(t: { after(work: () => Promise<void>): void }): Promise<void> {
      const steps: Record<string, Partial<FaultRule>> = {
        upload: { method: 'PUT', targetIncludes: 'uploads', withoutHeader: 'x-amz-copy-source' },
        copy: { method: 'PUT', header: 'x-amz-copy-source' },
        look: { method: 'HEAD' },
        remove: { method: 'DELETE' },
      };
      const actions: FaultRule['action'][] = [
        { kind: 'delay', ms: 30 },
        { kind: 'refuse', status: 500 },
        { kind: 'refuse', status: 503 },
        { kind: 'status', status: 500 },
        { kind: 'cut', afterBytes: 0 },
        { kind: 'cut', afterBytes: 20 },
        { kind: 'cut-request', afterBytes: 0 },
        { kind: 'cut-request', afterBytes: 70_000 },
        { kind: 'cut-copy', afterBytes: 50_000 },
        { kind: 'hang' },
      ];
      let succeeded = 0;
      let failed = 0;
      for (const [step, rule] of Object.entries(steps)) {
        for (const action of actions) {
          for (const count of [1, 2, Infinity]) {
            const setting = { strategy: 'temporary-and-copy', stallMs: 250 } as const;
            const client = clientFor(setting, (work) => t.after(work));
            const giveUpMs = action.kind === 'hang' ? 1_500 : 10_000;
            const outcome = await oneFault(
              client.writer,
              step,
              giveUpMs,
              randomBytes(150_000),
              async () => {
                // Faults of the same seed at each worker, which draws its own.
                await faults([
                  { port: 's3', ...rule, action, ...(count === Infinity ? {} : { count }) },
                ]);
              },
            );
            if (outcome === 'written') succeeded += 1;
            else failed += 1;
          }
        }
      }
      assert.ok(succeeded > 40 && failed > 10, `${succeeded} written, ${failed} failed`);
    }

    async function oneFault(
      writer: ClusterWriter,
      name: string,
      giveUpMs: number,
      content: Buffer,
      inject: () => Promise<void>,
    ): Promise<'written' | 'failed'> {
      const at = path(`/b/fault-${name}`);
      const old = randomBytes(1000);
      await writer.putFile(at, bytesOf(old), live());
      await inject();
      const give = AbortSignal.timeout(giveUpMs);
      const token = `fault-${name}`;
      const failure = await writer.putFile(at, bytesOf(content), { signal: give, token }).then(
        () => undefined,
        (error: unknown) => error,
      );
      await faults([]);
      const found = readFileSync(`${dir}/fault-${name}`);
      if (failure === undefined) {
        assert.ok(found.equals(content), 'acknowledged and wrong');
        await writer.removeTemporary(writer.temporaryPathFor(at, token), live());
        return 'written';
      }
      assert.ok(failure instanceof ClusterError, 'an error of another kind');
      // Before the copy the name is untouched; after it began, the upload is there to repair it.
      const isWhole = found.equals(old) || found.equals(content);
      const isKept = leftovers().includes(token);
      assert.ok(isWhole || isKept, `half a file and no upload: ${failure.message}`);
      if (isKept) {
        const md5 = createHash('md5').update(content).digest('hex');
        const upload = { lengthBytes: content.length, md5 };
        const uploadedBytes = statSync(`${dir}/.alluxio-fuse-uploads/${token}`).size;
        if (uploadedBytes === content.length) {
          await writer.finishUpload(at, upload, { ...live(), token });
          assert.ok(readFileSync(`${dir}/fault-${name}`).equals(content));
        } else assert.ok(found.equals(old));
      }
      await writer.removeTemporary(writer.temporaryPathFor(at, token), live());
      return 'failed';
    }
  });
}
