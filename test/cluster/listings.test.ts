/** What other clients list after a change: every change of ours reaches the workers' listings. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { byteStringOfText } from '../../src/base/byte-string.ts';
import { isKeptName } from '../../src/base/kept-names.ts';
import type { ByteString } from '../../src/base/byte-string.ts';
import type { UploadStrategy } from '../../src/cluster/index.ts';
import { ClusterError, RoutedClient } from '../../src/cluster/index.ts';
import type { Devcluster } from '../../src/devcluster/index.ts';
import { FileUnderStore } from '../../src/ufs/index.ts';
import { startTestDevcluster } from '../support/devcluster.ts';
import { skipReason } from '../support/skip.ts';
import type { Cleanup } from '../support/temp-dir.ts';
import { waitFor } from '../support/wait.ts';
import { routedClientOf } from '../support/routed-client.ts';

/** What a person at another machine is asked to wait for. */
const SHOWN_MS = 2_000;

const path = byteStringOfText;
const live = (): { signal: AbortSignal } => ({ signal: new AbortController().signal });

function bytesOf(content: Buffer) {
  return {
    lengthBytes: content.length,
    async *open(): AsyncGenerator<Uint8Array> {
      yield await Promise.resolve(content);
    },
  };
}

describe('listings of other clients', { skip: skipReason('etcd') }, () => {
  const undo: (() => Promise<void>)[] = [];
  const cleanup: Cleanup = (work) => undo.unshift(work);
  let cluster: Devcluster;

  before(async () => {
    cluster = await startTestDevcluster(cleanup, { personality: 'oss', virtualNodes: 5 });
  });
  after(async () => {
    for (const work of undo) await work();
  });

  function newClient(parts: {
    readonly strategy?: UploadStrategy;
    readonly virtualNodes?: number | 'auto';
  }): RoutedClient {
    const isByRename = parts.strategy === 'rename';
    return routedClientOf(cluster, {
      virtualNodes: parts.virtualNodes ?? 5,
      underStore: isByRename
        ? new FileUnderStore({ root: byteStringOfText(cluster.dataDir) })
        : undefined,
      uploadStrategy: parts.strategy,
    });
  }

  /** As a client lists it that knows nothing yet. */
  async function listed(directory: ByteString): Promise<string[]> {
    const client = newClient({});
    const names: string[] = [];
    const context = { ...live(), deadlineMs: performance.now() + 20_000 };
    try {
      for await (const batch of client.list(directory, context)) {
        names.push(...batch.map((entry) => entry.name).filter((name) => !isKeptName(false, name)));
      }
    } catch (error) {
      if (!(error instanceof ClusterError) || error.code !== 'not-found') throw error;
    } finally {
      await client.close();
    }
    return names.sort();
  }

  async function shows(directory: ByteString, names: readonly string[]): Promise<void> {
    let last: string[] = [];
    const wanted = JSON.stringify([...names].sort());
    const isShown = async (): Promise<boolean> => {
      last = await listed(directory);
      return JSON.stringify(last) === wanted;
    };
    await waitFor(`${directory} to be ${wanted}`, isShown, SHOWN_MS).catch(() => {
      assert.fail(`${directory} is ${JSON.stringify(last)} and not ${wanted}`);
    });
  }

  for (const strategy of ['rename', 'temporary-and-copy'] as const) {
    for (const virtualNodes of [5, 'auto'] as const) {
      test(`are right after every change: ${strategy}, virtual nodes ${virtualNodes}`, async (t) => {
        const client = newClient({ strategy, virtualNodes });
        t.after(() => client.close());
        const { writer } = client;
        // The directories of one test have different owners.
        for (const dir of [1, 2, 3, 4].map((i) => `/b-${strategy}-${virtualNodes}/d${i}`)) {
          const at = (name: string): ByteString => path(`${dir}/${name}`);
          const put = (name: string, lengthBytes: number): Promise<unknown> =>
            writer.putFile(at(name), bytesOf(randomBytes(lengthBytes)), live());
          await mkdir(`${cluster.dataDir}${dir}/away`, { recursive: true });
          await shows(path(dir), ['away']);
          await shows(at('away'), []);
          await put('f', 3);
          await put('g', 3);
          await shows(path(dir), ['away', 'f', 'g']);
          await writer.renameFile(at('f'), at('away/f'), live());
          await shows(path(dir), ['away', 'g']);
          await shows(at('away'), ['f']);
          await writer.copyFile(at('g'), at('h'), live());
          await writer.deleteFile(at('g'), live());
          await writer.makeDirectory(at('made'), live());
          await shows(path(dir), ['away', 'h', 'made']);
          await writer.deleteFile(at('away/f'), live());
          await writer.removeDirectory(at('away'), live());
          await shows(path(dir), ['h', 'made']);
          await writer.makeDirectory(at('away'), live());
          await shows(at('away'), []);
          await shows(path(dir), ['away', 'h', 'made']);
        }
      });
    }
  }

  test('are right of the root and of buckets', async (t) => {
    const client = newClient({ strategy: 'temporary-and-copy' });
    t.after(() => client.close());
    const { writer } = client;
    const others = await listed(path('/'));
    await writer.makeDirectory(path('/bucket'), live());
    await shows(path('/'), [...others, 'bucket']);
    await writer.putFile(path('/bucket/f'), bytesOf(Buffer.from('1')), live());
    await shows(path('/bucket'), ['f']);
    await writer.deleteFile(path('/bucket/f'), live());
    await shows(path('/bucket'), []);
    await writer.removeDirectory(path('/bucket'), live());
    await shows(path('/'), others);
  });

  test('are right once the client is closed, whatever happened just before', async () => {
    // So many that chance alone, a file with its directory's owner, does not make all of them right.
    const directories = Array.from({ length: 16 }, (_, i) => path(`/c/d${i}`));
    for (const directory of directories) {
      await mkdir(`${cluster.dataDir}${directory}`, { recursive: true });
      assert.deepEqual(await listed(directory), []);
    }
    const client = newClient({ strategy: 'rename' });
    for (const directory of directories) {
      await client.writer.putFile(path(`${directory}/f`), bytesOf(Buffer.from('1')), live());
    }
    await client.close();
    for (const directory of directories) assert.deepEqual(await listed(directory), ['f']);
  });
});
