/**
 * The store's side of a simulation of changes: a tree in memory that does the core's jobs one at a
 * time, in any order, and fails some of them before they have changed anything.
 */
import assert from 'node:assert/strict';
import { joinPath } from '../../src/base/byte-string.ts';
import type { ByteString } from '../../src/base/byte-string.ts';
import type { Random } from '../../src/base/random.ts';
import type { Slab, StagingArea, StagingError, StagingFile } from '../../src/cache/index.ts';
import type { AttributeChange, PosixAttributes } from '../../src/store/index.ts';
import { batchOf } from '../../src/vfs/index.ts';
import type {
  FileKind,
  FsErrorCode,
  Job,
  JobResult,
  KeptMessage,
  StatusMessage,
  VersionMessage,
} from '../../src/vfs/index.ts';
import { parentOf } from './world.ts';

interface Node {
  readonly kind: FileKind;
  bytes: Buffer;
  mtimeMs: number;
  posix: PosixAttributes;
}

type FetchJob = Extract<Job, { kind: 'fetch' }>;
type UploadJob = Extract<Job, { kind: 'upload' }>;

const ROOT = '/' as ByteString;

export class MemoryStaging implements StagingArea {
  readonly files = new Map<string, Buffer>();
  readonly #limitBytes: number;
  heldBytes = 0;
  #last = 0;

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  create(): StagingFile | StagingError {
    const name = `s${++this.#last}`;
    this.files.set(name, Buffer.alloc(0));
    const { files } = this;
    const get = (): Buffer => {
      const bytes = files.get(name);
      assert.ok(bytes !== undefined, 'a staging file is used after its end');
      return bytes;
    };
    return {
      name,
      write(data, offset) {
        const bytes = get();
        const end = offset + data.length;
        const longer = end > bytes.length ? Buffer.concat([bytes], end) : bytes;
        longer.set(data, offset);
        files.set(name, longer);
        return undefined;
      },
      read: (offset, length) => Buffer.concat([get().subarray(offset, offset + length)], length),
      truncate(length) {
        files.set(name, Buffer.concat([get().subarray(0, length)], length));
        return undefined;
      },
      remove: () => void files.delete(name),
      handOver: () => assert.fail('nothing is handed over here'),
    };
  }

  reserve(lengthBytes: number): boolean {
    if (this.heldBytes + lengthBytes > this.#limitBytes) return false;
    this.heldBytes += lengthBytes;
    return true;
  }

  released(): void {
    assert.fail('nothing is handed over here');
  }

  giveBack(lengthBytes: number): void {
    this.heldBytes -= lengthBytes;
    assert.ok(this.heldBytes >= 0, 'more was given back than was held');
  }
}

export class WriteStore {
  readonly #slab: Slab;
  readonly #staging: MemoryStaging;
  readonly #pageSizeBytes: number;
  readonly #nodes = new Map<ByteString, Node>();
  readonly #jobs: Exclude<Job, { kind: 'cancel' }>[] = [];
  /** Done, and not heard of yet. */
  readonly #results: JobResult[][] = [];
  #mtimeMs = 1000;
  #kept = 0;
  failureChance = 0;

  constructor(slab: Slab, staging: MemoryStaging, pageSizeBytes: number) {
    this.#slab = slab;
    this.#staging = staging;
    this.#pageSizeBytes = pageSizeBytes;
  }

  get jobCount(): number {
    return this.#jobs.length + this.#results.length;
  }

  /** The bytes of a file, as another client would read them. */
  bytes(path: ByteString): Buffer | undefined {
    const node = this.#nodes.get(path);
    return node?.kind === 'file' ? node.bytes : undefined;
  }

  paths(): ByteString[] {
    return [...this.#nodes.keys()];
  }

  submit(job: Job): void {
    if (job.kind !== 'cancel') this.#jobs.push(job);
  }

  /** Does one job, or tells of one that is done. A fetch that fails leaves garbage in its slots. */
  step(random: Random): JobResult[] {
    const index = random.below(this.jobCount);
    if (index >= this.#jobs.length) {
      return this.#results.splice(index - this.#jobs.length, 1)[0] as JobResult[];
    }
    const [job] = this.#jobs.splice(index, 1);
    assert.ok(job !== undefined);
    const results = this.#resultsOf(job, random);
    // Most are heard of at once.
    if (random.chance(0.7)) return results;
    this.#results.push(results);
    return [];
  }

  #resultsOf(job: Exclude<Job, { kind: 'cancel' }>, random: Random): JobResult[] {
    // What cannot be removed stays until the next start, which is not part of this.
    const canFail = job.kind !== 'remove-kept';
    if (canFail && random.chance(this.failureChance)) return [failed(job, 'unavailable')];
    const result = this.#run(job);
    return Array.isArray(result) ? result : [result];
  }

  #run(job: Exclude<Job, { kind: 'cancel' }>): JobResult | JobResult[] {
    const { id } = job;
    switch (job.kind) {
      case 'stat':
        return this.#status(job.path, job);
      case 'list': {
        if (!this.#isDirectory(job.path)) return failed(job, 'not-found');
        const names = this.#names(job.path);
        const statuses = names.map((name) =>
          statusOf(this.#nodes.get(joinPath(job.path, name)) as Node),
        );
        return {
          kind: 'listed',
          id,
          batch: batchOf(names, statuses),
          isLast: true,
          unheardMs: 0,
        };
      }
      case 'fetch':
        return this.#fetch(job);
      case 'locate':
        return { kind: 'located', id, ufsPath: job.path, workers: [] };
      case 'make-directory':
        return this.#make(job, 'directory', job.attributes);
      case 'make-node':
        return this.#make(job, job.nodeKind, job.attributes);
      case 'set-attributes': {
        const node = this.#nodes.get(job.path);
        if (node === undefined) return failed(job, 'not-found');
        node.posix = merge(node.posix, job.change);
        return this.#status(job.path, job);
      }
      case 'upload':
        return this.#upload(job);
      case 'remove-file':
        return this.#removeFile(job);
      case 'remove-kept':
        return this.#nodes.delete(job.path) ? { kind: 'done', id } : failed(job, 'not-found');
      case 'remove-directory':
        if (this.#names(job.path).length > 0) return failed(job, 'not-empty');
        if (!this.#nodes.delete(job.path)) return failed(job, 'not-found');
        this.#touch(parentOf(job.path));
        return { kind: 'done', id };
      case 'touch-directory':
        if (!this.#isDirectory(job.path)) return failed(job, 'not-found');
        this.#touch(job.path);
        return { kind: 'done', id };
      case 'rename':
        return this.#rename(job);
      case 'sync-directory':
        return { kind: 'done', id };
      default:
        throw new Error('A job of no known kind');
    }
  }

  #isDirectory(path: ByteString): boolean {
    return path === ROOT || this.#nodes.get(path)?.kind === 'directory';
  }

  #names(directory: ByteString): ByteString[] {
    const prefix = directory === ROOT ? '/' : `${directory}/`;
    return [...this.#nodes.keys()]
      .filter((path) => path.startsWith(prefix) && !path.slice(prefix.length).includes('/'))
      .map((path) => path.slice(prefix.length) as ByteString)
      .filter((name) => !name.startsWith('.kept'));
  }

  #status(path: ByteString, job: Job): JobResult {
    const node = this.#nodes.get(path);
    if (node === undefined) return failed(job, 'not-found');
    return { kind: 'status', id: job.id, status: statusOf(node) };
  }

  #make(job: Job & { path: ByteString }, kind: FileKind, posix: AttributeChange): JobResult {
    if (this.#nodes.has(job.path)) return failed(job, 'exists');
    if (!this.#isDirectory(parentOf(job.path))) return failed(job, 'not-found');
    this.#put(job.path, kind, Buffer.alloc(0), merge({}, posix));
    this.#touch(parentOf(job.path));
    return this.#status(job.path, job);
  }

  #put(path: ByteString, kind: FileKind, bytes: Buffer, posix: PosixAttributes): Node {
    const node: Node = { kind, bytes, mtimeMs: ++this.#mtimeMs, posix };
    this.#nodes.set(path, node);
    return node;
  }

  /** A time that was set for the directory holds no longer. */
  #touch(directory: ByteString): void {
    const node = this.#nodes.get(directory);
    if (node === undefined) return;
    const { mtimeMs: _, ...rest } = node.posix;
    node.posix = rest;
  }

  #fetch(job: FetchJob): JobResult[] {
    const node = this.#nodes.get(job.path);
    if (node === undefined) return [failed(job, 'not-found')];
    if (!isVersion(node, job.version)) return [failed(job, 'stale')];
    return job.pages.map((page, index) => {
      const start = (job.firstPage + index) * this.#pageSizeBytes;
      const bytes = node.bytes.subarray(start, start + page.lengthBytes);
      assert.equal(bytes.length, page.lengthBytes, 'a page past the end of its file');
      this.#slab.writeToPage(page.slots, 0, bytes);
      return { kind: 'page', id: job.id, pageIndex: job.firstPage + index };
    });
  }

  #upload(job: UploadJob): JobResult {
    // Workers would make it: what is written in a directory that moves must wait for its new name.
    assert.ok(this.#isDirectory(parentOf(job.path)), 'an upload into a directory that is gone');
    const staged = this.#staging.files.get(job.stagingName);
    assert.ok(staged !== undefined, 'an upload without its staging file');
    const base = job.base === undefined ? undefined : this.#nodes.get(job.base.path);
    const parts: Buffer[] = [];
    let at = 0;
    for (const { from, lengthBytes } of job.segments) {
      const end = at + lengthBytes;
      if (from === 'zero') parts.push(Buffer.alloc(lengthBytes));
      else if (from === 'staging') {
        // Cut shorter since: what a real upload would find out by reading.
        if (staged.length < end) return failed(job, 'io');
        parts.push(Buffer.from(staged.subarray(at, end)));
      } else {
        if (base === undefined || job.base === undefined) return failed(job, 'stale');
        if (!isVersion(base, job.base.version)) return failed(job, 'stale');
        parts.push(Buffer.from(base.bytes.subarray(at, end)));
      }
      at = end;
    }
    const old = this.#nodes.get(job.path);
    this.#put(job.path, 'file', Buffer.concat(parts), merge(old?.posix ?? {}, job.attributes));
    return this.#status(job.path, job);
  }

  #removeFile(job: Extract<Job, { kind: 'remove-file' }>): JobResult {
    const node = this.#nodes.get(job.path);
    if (node === undefined) return failed(job, 'not-found');
    this.#nodes.delete(job.path);
    this.#touch(parentOf(job.path));
    if (!job.mustKeep) return { kind: 'removed', id: job.id, kept: undefined };
    return { kind: 'removed', id: job.id, kept: this.#keep(node) };
  }

  #keep(node: Node): KeptMessage {
    // Out of the way of renamed directories.
    const path = joinPath(ROOT, `.kept${++this.#kept}` as ByteString);
    return { path, version: versionOf(this.#put(path, 'file', node.bytes, node.posix)) };
  }

  #rename(job: Extract<Job, { kind: 'rename' }>): JobResult {
    const { path, to } = job;
    const node = this.#nodes.get(path);
    const target = this.#nodes.get(to);
    if (node === undefined || !this.#isDirectory(parentOf(to))) return failed(job, 'not-found');
    if (to === path || to.startsWith(`${path}/`)) return failed(job, 'invalid');
    if (target !== undefined && job.isExclusive) return failed(job, 'exists');
    if (target?.kind === 'directory' && this.#names(to).length > 0) return failed(job, 'not-empty');
    const kept = job.keepsTarget && target?.kind === 'file' ? this.#keep(target) : undefined;
    for (const [old, each] of Array.from(this.#nodes)) {
      if (old !== path && !old.startsWith(`${path}/`)) continue;
      this.#nodes.delete(old);
      const moved = `${to}${old.slice(path.length)}` as ByteString;
      // As on plain Alluxio: a copy, with a time of its own.
      this.#put(moved, each.kind, each.bytes, each.posix);
    }
    this.#touch(parentOf(path));
    this.#touch(parentOf(to));
    const statuses = job.watched.map((name) => {
      const found = this.#nodes.get(name === '' ? to : joinPath(to, name));
      return found?.kind === 'file' ? statusOf(found) : undefined;
    });
    return { kind: 'renamed', id: job.id, statuses, kept };
  }
}

function merge(posix: PosixAttributes, change: AttributeChange): PosixAttributes {
  const xattrs = new Map(posix.xattrs);
  for (const [name, value] of change.xattrs ?? []) {
    if (value === undefined) xattrs.delete(name);
    else xattrs.set(name, value);
  }
  const { xattrs: _, ...rest } = change;
  return { ...posix, ...rest, ...(xattrs.size > 0 ? { xattrs } : {}) };
}

function failed(job: Job, code: FsErrorCode): JobResult {
  return { kind: 'failed', id: job.id, code, reason: 'Of the simulation' };
}

function versionOf(node: Node): VersionMessage {
  return { lengthBytes: node.bytes.length, mtimeMs: node.mtimeMs, contentHash: undefined };
}

function isVersion(node: Node, version: VersionMessage): boolean {
  return node.bytes.length === version.lengthBytes && node.mtimeMs === version.mtimeMs;
}

function statusOf(node: Node): StatusMessage {
  return { kind: node.kind, mode: undefined, posix: node.posix, ...versionOf(node) };
}
