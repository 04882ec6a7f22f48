/**
 * An in-memory cluster at the seam to a single worker, for scripts of faults that no real worker
 * plays on demand. It keeps the real one's rules that routing depends on: pages lie with the owner,
 * other workers redirect, a page not held is a miss. What a real worker does beyond that is tested
 * against a real worker.
 */
import type { ByteString } from '../../src/base/byte-string.ts';
import { lostName } from '../../src/cluster/inexpressible.ts';
import { Ring } from '../../src/cluster/ring.ts';
import { workersOf } from '../../src/cluster/testing/workers.ts';
import type { ByteSink, CallContext, FileStatus, Worker } from '../../src/cluster/types.ts';
import { ClusterError } from '../../src/cluster/types.ts';
import type {
  PageOutcome,
  PageRequest,
  Personality,
  RangeRequest,
  S3Outcome,
  WorkerClient,
} from '../../src/cluster/worker-client.ts';

export interface ScriptedFile {
  bytes: Buffer;
  mtimeMs: number;
}

/** `stopped`: as `hangs`, and its health is not answered either. */
export type Fault = 'dead' | 'hangs' | 'stopped' | 'short' | 'overlong' | 's3-missing';

export const ROOT = 'file:///data';

export class ScriptedWorkers implements WorkerClient {
  readonly workers: Worker[];
  readonly files = new Map<string, ScriptedFile>();
  readonly directories = new Map<string, string[]>();
  readonly faults = new Map<string, Fault>();
  /** `host method path` of every call, in order. */
  readonly calls: string[] = [];
  readonly #pages = new Map<string, Set<string>>();
  readonly #stopped = new Map<string, (() => void)[]>();
  readonly #ring: Ring;
  pageSizeBytes: number;
  kind: Personality = 'oss';
  hasRange = true;

  constructor(options: { workers: number; virtualNodes: number; pageSizeBytes: number }) {
    this.workers = workersOf(options.workers);
    this.#ring = new Ring(this.workers, { virtualNodes: options.virtualNodes });
    this.pageSizeBytes = options.pageSizeBytes;
  }

  ownerOf(path: string): Worker {
    const owner = this.#ring.ownerOf((ROOT + path) as ByteString);
    if (owner === undefined) throw new Error('No workers');
    return owner;
  }

  add(path: string, lengthBytes: number, mtimeMs = 1_000): ScriptedFile {
    const bytes = Buffer.alloc(lengthBytes);
    for (let i = 0; i < lengthBytes; i += 1) bytes[i] = (i * 31 + (i >>> 8)) & 0xff;
    const file = { bytes, mtimeMs };
    this.files.set(path, file);
    return file;
  }

  /** As if the owner had read the whole file through. */
  /** All pages of a file, or the first so many. */
  warm(path: string, pagesMax = Infinity): void {
    const file = this.files.get(path);
    const pages = Math.min(Math.ceil((file?.bytes.length ?? 0) / this.pageSizeBytes), pagesMax);
    for (let i = 0; i < pages; i += 1) this.#held(this.ownerOf(path)).add(`${ROOT}${path}#${i}`);
  }

  /** It goes on with what it was asked meanwhile. */
  resume(host: string): void {
    this.faults.delete(host);
    for (const goOn of this.#stopped.get(host) ?? []) goOn();
    this.#stopped.delete(host);
  }

  countOf(method: string): number {
    return this.calls.filter((call) => call.split(' ')[1] === method).length;
  }

  async personality(worker: Worker, context: CallContext): Promise<Personality> {
    await this.#enter(worker, 'personality', '', context);
    return this.kind;
  }

  health(worker: Worker, context: CallContext): Promise<void> {
    return this.#enter(worker, 'health', '', context);
  }

  async stat(worker: Worker, path: ByteString, context: CallContext): Promise<FileStatus> {
    await this.#enter(worker, 'stat', path, context);
    this.#refuseLost(path);
    const file = this.files.get(path);
    if (file === undefined) throw new ClusterError('not-found', 'No such file', { path });
    const name = path.slice(path.lastIndexOf('/') + 1) as ByteString;
    return { name, type: 'file', lengthBytes: file.bytes.length, mtimeMs: file.mtimeMs };
  }

  async *list(
    worker: Worker,
    path: ByteString,
    context: CallContext,
  ): AsyncGenerator<FileStatus[], void, undefined> {
    await this.#enter(worker, 'list', path, context);
    this.#refuseLost(path);
    const names = this.directories.get(path);
    if (names === undefined) throw new ClusterError('not-found', 'No such directory', { path });
    for (const [i, name] of names.entries()) {
      // The script for "the worker trips over what is in the directory".
      if (name === 'POISON') throw new ClusterError('unavailable', 'Closed', { retryable: true });
      // As the real client does for a directory that neither port can be asked for.
      if (name === 'UNASKABLE') throw new ClusterError('inexpressible', 'Cannot be asked for');
      if (i > 0 && this.faults.get(worker.host) === 'short') {
        throw new ClusterError('unavailable', 'Closed half way', { retryable: true });
      }
      if (!name.includes('?')) {
        yield [{ name: name as ByteString, type: 'file', lengthBytes: 1, mtimeMs: 1 }];
      }
    }
  }

  async readPage(
    worker: Worker,
    request: PageRequest,
    sink: ByteSink,
    context: CallContext,
  ): Promise<PageOutcome> {
    const { ufsPath, pageIndex, offsetInPage = 0 } = request;
    await this.#enter(worker, 'page', ufsPath, context);
    const file = this.files.get(ufsPath.slice(ROOT.length));
    const isHeld = this.#held(worker).has(`${ufsPath}#${pageIndex}`);
    if (file === undefined || !isHeld) return { kind: 'miss' };
    const start = pageIndex * this.pageSizeBytes;
    const page = file.bytes.subarray(start, start + this.pageSizeBytes);
    if (offsetInPage > page.length) return { kind: 'miss' };
    const wanted = request.lengthBytes ?? this.pageSizeBytes - offsetInPage;
    const bytes = page.subarray(offsetInPage, offsetInPage + wanted);
    const isLonger = request.isEnd === true && page.length > offsetInPage + wanted;
    if (isLonger) return { kind: 'page', lengthBytes: page.length - offsetInPage };
    if (bytes.length > 0) sink(bytes, 0);
    return { kind: 'page', lengthBytes: bytes.length };
  }

  async readS3(
    worker: Worker,
    request: RangeRequest,
    sink: ByteSink,
    context: CallContext,
  ): Promise<S3Outcome> {
    const { path, offset, lengthBytes } = request;
    await this.#enter(worker, 's3', path, context);
    this.#refuseLost(path);
    const file = this.files.get(path);
    const owner = this.ownerOf(path);
    if (file === undefined) return { kind: 'not-found' };
    if (owner.id !== worker.id) return { kind: 'redirect', host: owner.host, port: owner.s3Port };
    const fault = this.faults.get(worker.host);
    if (fault === 's3-missing') return { kind: 'not-found' };
    const end = offset + lengthBytes + (fault === 'overlong' ? 1 : 0);
    const bytes = file.bytes.subarray(offset, fault === 'short' ? end - 1 : end);
    sink(bytes, 0);
    const last = Math.ceil((offset + lengthBytes) / this.pageSizeBytes);
    for (let i = Math.floor(offset / this.pageSizeBytes); i < last; i += 1) {
      this.#held(worker).add(`${request.ufsPath}#${i}`);
    }
    const fileLengthBytes = file.bytes.length;
    return { kind: 'data', lengthBytes: bytes.length, fileLengthBytes, mtimeMs: file.mtimeMs };
  }

  async readRange(
    worker: Worker,
    request: RangeRequest,
    sink: ByteSink,
    context: CallContext,
  ): Promise<number> {
    await this.#enter(worker, 'range', request.path, context);
    if (!this.hasRange) throw new ClusterError('unsupported', 'No range endpoint');
    const file = this.files.get(request.path);
    if (file === undefined) throw new ClusterError('not-found', 'No such file');
    const bytes = file.bytes.subarray(request.offset, request.offset + request.lengthBytes);
    sink(bytes, 0);
    return bytes.length;
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  async #enter(worker: Worker, method: string, path: string, context: CallContext): Promise<void> {
    this.calls.push(`${worker.host} ${method} ${path}`);
    const fault = this.faults.get(worker.host);
    if (fault === 'dead') {
      const details = { worker: worker.id, retryable: true };
      throw new ClusterError('unavailable', 'Connection refused', details);
    }
    if (fault === 'stopped' || (fault === 'hangs' && method !== 'health')) {
      await new Promise<void>((resolve, reject) => {
        const end = (): void => reject(new ClusterError('cancelled', 'Aborted'));
        context.signal.addEventListener('abort', end, { once: true });
        this.#stopped.set(worker.host, [...(this.#stopped.get(worker.host) ?? []), resolve]);
      });
    }
  }

  #refuseLost(path: ByteString): void {
    if (lostName(path) !== undefined) throw new ClusterError('inexpressible', 'Cannot be named');
  }

  #held(worker: Worker): Set<string> {
    let held = this.#pages.get(worker.id);
    if (held === undefined) this.#pages.set(worker.id, (held = new Set()));
    return held;
  }
}
