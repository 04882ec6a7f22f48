/**
 * The name space as every worker answers it: a status or a listing is asked of the worker that
 * owns the path, and read straight from the under store when the owner does not answer.
 */
import type { AlluxioPath } from './alluxio-uri.ts';
import { fileIdOf } from './alluxio-uri.ts';
import type { Entry, Metadata } from './metadata.ts';
import { readEntry, readList, UnlistableError } from './metadata.ts';
import type { PagedFile, PageStore } from './page-store.ts';
import type { Peers, RpcCall } from './peers.ts';
import { RemoteError } from './peers.ts';
import type { Roots } from './roots.ts';

export class NameSpace {
  readonly #metadata: Metadata;
  readonly #pages: PageStore;
  readonly #peers: Peers;

  constructor(metadata: Metadata, pages: PageStore, peers: Peers) {
    this.#metadata = metadata;
    this.#pages = pages;
    this.#peers = peers;
  }

  get roots(): Roots {
    return this.#metadata.roots;
  }

  status(path: AlluxioPath): Promise<Entry | undefined> {
    return this.#ask<Entry>('status', path, () => readEntry(path, this.roots));
  }

  list(path: AlluxioPath): Promise<readonly Entry[] | undefined> {
    return this.#ask<readonly Entry[]>('list', path, () => readList(path, this.roots));
  }

  async beginWrite(path: AlluxioPath): Promise<void> {
    await this.#ask('begin-write', path, () => Promise.resolve(undefined));
  }

  /** Tells the owner, and nobody else, that a path was written or removed. */
  async changed(path: AlluxioPath): Promise<void> {
    await this.#ask('changed', path, () => Promise.resolve(undefined));
  }

  /** The owner reads the file and keeps its pages. */
  async load(path: AlluxioPath): Promise<void> {
    const nobody = (): Promise<undefined> => Promise.reject(new Error('The owner does not answer'));
    await this.#ask('load', path, nobody);
  }

  pagedFile(path: AlluxioPath, entry: Entry): PagedFile {
    return {
      fileId: fileIdOf(this.roots.uriOf(path.text)),
      filePath: this.roots.filePathOf(path.path),
      lengthBytes: entry.lengthBytes,
    };
  }

  /** Serves a call of another worker, or of this one about its own paths. */
  async serve(call: RpcCall): Promise<unknown> {
    const path = { path: call.path, text: call.text };
    switch (call.op) {
      case 'status':
        return this.#metadata.status(path);
      case 'list':
        return this.#metadata.list(path);
      case 'begin-write':
        this.#metadata.beginWrite(path.text);
        return null;
      case 'changed':
        this.#metadata.changed(path.text);
        this.#pages.drop(fileIdOf(this.roots.uriOf(path.text)));
        return null;
      case 'load': {
        const entry = await this.#metadata.status(path);
        if (entry?.type !== 'file') return null;
        const file = this.pagedFile(path, entry);
        for await (const part of this.#pages.read(file, 0, entry.lengthBytes, 'whole')) void part;
        return null;
      }
      default:
        throw new Error('Unknown call');
    }
  }

  async #ask<T>(
    op: RpcCall['op'],
    path: AlluxioPath,
    fallback: () => Promise<T | undefined>,
  ): Promise<T | undefined> {
    const call: RpcCall = { op, path: path.path, text: path.text };
    const owner = this.#peers.otherOwnerOf(this.roots.uriOf(path.text));
    if (owner === undefined) return (await this.serve(call)) as T | undefined;
    try {
      return ((await this.#peers.ask(owner, call)) as T | null) ?? undefined;
    } catch (error) {
      if (error instanceof RemoteError) throw new UnlistableError(error.message);
      return await fallback();
    }
  }
}
