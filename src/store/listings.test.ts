/** A listing that the cluster drew up before a name went does not bring the name back. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { byteStringOfText as text } from '../base/byte-string.ts';
import type { ByteString } from '../base/byte-string.ts';
import type { FileStatus } from '../cluster/index.ts';
import { ClusterError } from '../cluster/index.ts';
import { Listings } from './listings.ts';
import type { Overlay } from './view.ts';
import { NameSpaceView, noOverlay } from './view.ts';

const CONTEXT = { signal: new AbortController().signal, deadlineMs: Infinity };
const fileOf = (path: ByteString, lengthBytes: number): FileStatus => {
  return { name: path.slice(1) as ByteString, type: 'file', lengthBytes, mtimeMs: 1 };
};

class Directory {
  readonly files = new Map([text('/a'), text('/b'), text('/c')].map((path) => [path, 1]));
  readonly listings = new Listings();
  readonly asked: ByteString[] = [];
  isAnswering = true;
  readonly view: NameSpaceView;

  constructor(meanwhile: (directory: Directory) => void, overlay: Overlay = noOverlay) {
    const status = (path: ByteString): FileStatus => {
      const length = this.files.get(path);
      if (length === undefined) throw new ClusterError('not-found', 'Not there');
      return fileOf(path, length);
    };
    const old = [...this.files.keys()].map(status);
    const run = (): void => meanwhile(this);
    const reader = {
      stat: (path: ByteString) => {
        this.asked.push(path);
        if (!this.isAnswering) return Promise.reject(new ClusterError('timeout', 'No answer'));
        return Promise.resolve(path).then(status);
      },
      async *list() {
        yield old.slice(0, 1);
        run();
        yield old.slice(1);
      },
      read: () => Promise.reject(new ClusterError('unsupported', 'Not asked here')),
    };
    const attributes = { get: () => undefined, entries: () => [] };
    const source = { load: () => Promise.resolve(attributes) };
    this.view = new NameSpaceView(reader, source, overlay, this.listings);
  }

  async list(): Promise<string[]> {
    const seen: string[] = [];
    for await (const batch of this.view.list(text('/'), CONTEXT)) {
      for (const { name, lengthBytes } of batch) seen.push(`${name} ${lengthBytes}`);
    }
    return seen;
  }
}

describe('a listing under way', () => {
  it('leaves out what has gone since it was drawn up', async () => {
    const directory = new Directory(({ files, listings }) => {
      files.delete(text('/b'));
      listings.noteGone(text('/b'));
      listings.noteGone(text('/other/c'));
    });
    assert.deepEqual(await directory.list(), ['a 1', 'c 1']);
  });

  it('shows what has gone and come again as it is now', async () => {
    const directory = new Directory(({ files, listings }) => {
      listings.noteGone(text('/b'));
      files.set(text('/b'), 2);
    });
    assert.deepEqual(await directory.list(), ['a 1', 'b 2', 'c 1']);
  });

  it('fails where its directory is moved away, and does not end as if that were all', async () => {
    const directory = new Directory(({ listings }) => listings.noteDirectoryGone(text('/')));
    await assert.rejects(directory.list(), /moved or removed/);
    const other = new Directory(({ listings }) => listings.noteDirectoryGone(text('/a')));
    assert.deepEqual(await other.list(), ['a 1', 'b 1', 'c 1']);
  });

  it('knows nothing of what went before it began', async () => {
    const directory = new Directory(() => undefined);
    directory.listings.noteGone(text('/b'));
    assert.deepEqual(await directory.list(), ['a 1', 'b 1', 'c 1']);
  });

  const unheard = ['/b', '/c', '/d', '/e'].map(text);
  const overlay = { ...noOverlay, unheardIn: () => new Set(unheard) };

  it('shows what its workers have not heard of as it is', async () => {
    const directory = new Directory(({ files }) => {
      files.delete(text('/b'));
      files.set(text('/c'), 2).set(text('/d'), 1);
    }, overlay);
    assert.deepEqual(await directory.list(), ['a 1', 'c 2', 'd 1']);
  });

  it('shows what it can where that is not answered, and asks once', async () => {
    const directory = new Directory(() => undefined, overlay);
    directory.isAnswering = false;
    assert.deepEqual(await directory.list(), ['a 1', 'b 1', 'c 1']);
    assert.deepEqual(directory.asked, ['/b']);
  });
});
