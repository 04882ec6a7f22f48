/**
 * The kernel of a simulation: sends what a kernel may send, keeps what a kernel keeps (lookup counts,
 * open handles, directory positions) and judges every answer by the world's history.
 */
import assert from 'node:assert/strict';
import { joinPath, nameOf } from '../../src/base/byte-string.ts';
import type { ByteString } from '../../src/base/byte-string.ts';
import type { Clock } from '../../src/base/clock.ts';
import type { Random } from '../../src/base/random.ts';
import { NO_HANDLE, ROOT_INODE } from '../../src/vfs/index.ts';
import type {
  Attributes,
  Core,
  CoreOptions,
  CoreReplies,
  EntrySink,
  FileKind,
  FsErrorCode,
  HandleId,
  InodeId,
  RequestId,
} from '../../src/vfs/index.ts';
import { DirectoryStream } from './directory-stream.ts';
import { ErrorJudge } from './error-judge.ts';
import type { FakeBackings } from './fake-backings.ts';
import { ufsPathOf, workersOf } from './fake-cluster.ts';
import type { Delivery, FakeCluster } from './fake-cluster.ts';
import { describe, keepOnly } from './requests.ts';
import type {
  Call,
  Cause,
  DirectoryHandle,
  FileHandle,
  Handle,
  Known,
  Request,
} from './requests.ts';
import { BIG, isVersion, namesUnder, parentOf, ROOT } from './world.ts';
import type { State, World } from './world.ts';

const READ_ONLY = { wantsWrite: false, truncates: false };

const XATTRS = ['user.alluxio.worker', 'user.alluxio.ufs_path', 'user.alluxio.cached'];
const REQUESTS_MAX = 40;

/** Of handles that the kernel has for itself the numbers are negative. */
const isKnown = ({ id }: Handle): boolean => id > 0;

export class FakeKernel implements CoreReplies {
  readonly #clock: Clock;
  readonly #world: World;
  readonly #cluster: FakeCluster;
  readonly #backings: FakeBackings;
  readonly #options: CoreOptions;
  readonly #errors: ErrorJudge;
  readonly #readBytesMax: number;
  readonly #note: (what: string) => void;
  readonly #inodes = new Map<InodeId, Known>();
  readonly #handles = new Map<HandleId, Handle>();
  readonly #requests = new Map<RequestId, Request>();
  readonly root: Known;
  #core: Core | undefined;
  #lastId = 0;
  #lastUntold = 0;
  #scanned = 0;
  #walked = 0;
  #cause: Cause = { kind: 'request' };
  answers = 0;
  dataBytes = 0;
  lastError: FsErrorCode | undefined;

  constructor(parts: {
    readonly clock: Clock;
    readonly world: World;
    readonly cluster: FakeCluster;
    readonly backings: FakeBackings;
    readonly options: CoreOptions;
    readonly readBytesMax: number;
    readonly note: (what: string) => void;
  }) {
    this.#clock = parts.clock;
    this.#world = parts.world;
    this.#cluster = parts.cluster;
    this.#backings = parts.backings;
    this.#options = parts.options;
    this.#errors = new ErrorJudge(parts.clock, parts.world, parts.cluster, parts.options);
    this.#readBytesMax = parts.readBytesMax;
    this.#note = parts.note;
    const lookups = Infinity;
    const sinceMs = -Infinity;
    const fixed = { ino: ROOT_INODE, path: ROOT, kind: 'directory', sinceMs, lookups } as const;
    this.root = {
      ...fixed,
      parentIno: undefined,
      bornMs: sinceMs,
      askedMs: sinceMs,
      gone: undefined,
      uses: 0,
      cached: undefined,
    };
    this.#inodes.set(ROOT_INODE, this.root);
  }

  attach(core: Core): void {
    this.#core = core;
  }

  get waiting(): number {
    return this.#requests.size;
  }

  /** Those that the core knows of. */
  get handleCount(): number {
    return [...this.#handles.values()].filter(isKnown).length;
  }

  get oldestSentMs(): number {
    let oldestMs = Infinity;
    for (const { sentMs } of this.#requests.values()) oldestMs = Math.min(oldestMs, sentMs);
    return oldestMs;
  }

  /** Runs something that makes the core answer. */
  because(cause: Cause, act: (core: Core) => void): void {
    if (cause.kind === 'delivery') {
      this.#errors.note(cause.delivery);
      this.#noteGone(cause.delivery);
      this.#noteNews(cause.delivery);
    }
    this.#cause = cause;
    act(this.#core as Core);
    this.#cause = { kind: 'request' };
  }

  #noteNews({ job, submittedMs }: Delivery): void {
    for (const request of this.#requests.values()) {
      const isOfIt = request.known?.path === job.path;
      if (isOfIt) request.newsMs = Math.min(request.newsMs, submittedMs);
    }
  }

  /** The version that a read did not find is gone: who has only seen it before has old news. */
  #noteGone({ job, submittedMs, result }: Delivery): void {
    if (job.kind !== 'fetch' || result.kind !== 'failed') return;
    if (result.code !== 'stale' && result.code !== 'not-found') return;
    const [known, ...others] = [...this.#inodes.values()].filter(({ path }) => path === job.path);
    // The job may be of another inode that the path was, or will be to the kernel.
    if (known === undefined || others.length > 0 || known.bornMs > submittedMs) return;
    known.gone = { version: job.version, atMs: this.#clock.nowMs() };
  }

  // What the kernel does.

  /** One request or other message. */
  act(random: Random): void {
    if (this.#requests.size >= REQUESTS_MAX) return this.#release(random);
    const kind = random.below(100);
    if (kind < 18) return this.#lookup(random);
    if (kind < 24) return this.#forget(random);
    if (kind < 32) return this.#getattr(random);
    if (kind < 44) return this.#open(random);
    if (kind < 66) return this.#read(random);
    if (kind < 71) return this.#opendir(random);
    if (kind < 82) return this.#readdir(random);
    if (kind < 90) return this.#release(random);
    if (kind < 92) return this.#lseek(random);
    if (kind < 95) return this.#xattr(random);
    if (kind < 98) return this.#interrupt(random);
    return this.#wrong(random);
  }

  #send(call: Call, known: Known | undefined, act: (core: Core, id: RequestId) => void): RequestId {
    const id = (this.#lastId += 2) as RequestId;
    this.#note(describe(call, id));
    this.#requests.set(id, { id, sentMs: this.#clock.nowMs(), call, known, newsMs: Infinity });
    if (known !== undefined) known.uses++;
    if ('handle' in call) call.handle.requests++;
    act(this.#core as Core, id);
    return id;
  }

  #pick(random: Random, kind: FileKind): Known | undefined {
    const all = [...this.#inodes.values()].filter((known) => known.kind === kind);
    return all.length === 0 ? undefined : random.pick(all);
  }

  lookup(parent: Known, name: ByteString): RequestId {
    return this.#send({ kind: 'lookup', parent, name }, parent, (core, id) => {
      core.lookup(id, parent.ino, name);
    });
  }

  #lookup(random: Random): void {
    const parent = this.#pick(random, 'directory') as Known;
    const isDot = random.chance(0.03);
    const name = random.pick(isDot ? ['.', '..'] : namesUnder(parent.path)) as ByteString;
    this.lookup(parent, name);
  }

  #forget(random: Random): void {
    const unused = [...this.#inodes.values()].filter(
      (known) => known !== this.root && known.uses === 0,
    );
    // Memory pressure: everything that is not in use goes at once.
    const isAll = random.chance(0.05);
    const some = isAll ? unused : random.shuffle(unused).slice(0, random.between(1, 4));
    this.#note(`forget ${some.map(({ ino }) => ino).join(' ')}`);
    for (const known of some) {
      this.#give(known, random.chance(0.8) ? known.lookups : random.between(1, known.lookups));
    }
  }

  #give(known: Known, lookups: number): void {
    known.lookups -= lookups;
    if (known.lookups === 0) this.#inodes.delete(known.ino);
    (this.#core as Core).forget(known.ino, lookups);
  }

  #getattr(random: Random): void {
    const known = random.pick([...this.#inodes.values()]);
    this.#send({ kind: 'getattr', known }, known, (core, id) => core.getattr(id, known.ino));
  }

  open(known: Known, wantsWrite: boolean): RequestId {
    return this.#send({ kind: 'open', known, wantsWrite }, known, (core, id) => {
      core.open(id, known.ino, { wantsWrite, truncates: false });
    });
  }

  #open(random: Random): void {
    const known = this.#pick(random, 'file');
    if (known === undefined) return;
    if (this.#options.isImmutable && random.chance(0.9)) this.openUntold(known);
    else this.open(known, random.chance(0.02));
  }

  /** As a kernel that was told not to tell of opens. */
  openUntold(known: Known): void {
    const isFile = ({ kind }: State): boolean => kind === 'file';
    known.cached ??= new Set(this.#world.during(known.path, known.sinceMs).filter(isFile));
    known.uses++;
    const id = --this.#lastUntold as HandleId;
    const { sinceMs, cached: versions } = known;
    this.#note(`open ${known.path} without a word`);
    const fresh = { backingId: undefined, position: 0, requests: 0 };
    this.#handles.set(id, { kind: 'file', id, known, sinceMs, versions, ...fresh });
  }

  /** One step of a program that opens all files of a directory, one after the other. */
  scan(random: Random): void {
    if (this.#requests.size >= REQUESTS_MAX) return;
    const directory = this.find(BIG);
    const names = namesUnder(BIG);
    const name = names[this.#scanned % names.length] as ByteString;
    if (directory === undefined) this.lookup(this.root, nameOf(BIG));
    else if (this.#scanned % 10 === 0 && random.chance(0.5)) this.opendir(directory);
    else {
      const known = this.find(joinPath(BIG, name));
      if (known === undefined && random.chance(0.7)) this.lookup(directory, name);
      else {
        this.#scanned++;
        // It reads what it has opened, or closes it.
        for (const handle of this.#handles.values()) {
          if (handle.kind !== 'file' || parentOf(handle.known.path) !== BIG) continue;
          if (handle.requests === 0 && random.chance(0.5)) this.release(handle);
          else if (this.#requests.size < REQUESTS_MAX) this.read(handle, 0, random.between(1, 500));
        }
        if (known?.kind === 'file' && this.#options.isImmutable) this.openUntold(known);
        else if (known?.kind === 'file') this.open(known, false);
      }
    }
  }

  /** One step of a program that walks the tree: it reads every directory before what is in it. */
  walk(random: Random): void {
    if (this.#requests.size >= REQUESTS_MAX) return;
    const paths = this.#world.directories();
    const path = paths[this.#walked % paths.length] as ByteString;
    const known = path === ROOT ? this.root : this.find(path);
    const parent = parentOf(path) === ROOT ? this.root : this.find(parentOf(path));
    if (known?.kind === 'directory') {
      const handles = [...this.#handles.values()].filter(({ kind }) => kind === 'directory');
      const handle = handles.find((each) => each.known === known) as DirectoryHandle | undefined;
      if (handle === undefined) this.opendir(known);
      else if (handle.requests === 0) {
        this.readdir(handle, handle.stream.offset, 3000, random.chance(0.5));
        this.#walked++;
      }
      for (const other of handles) if (other.requests === 0) this.release(other);
    } else if (parent?.kind === 'directory') this.lookup(parent, nameOf(path));
    else this.#walked++;
  }

  #pickHandle<Kind extends Handle['kind']>(
    random: Random,
    kind: Kind,
  ): Extract<Handle, { kind: Kind }> | undefined {
    const all = [...this.#handles.values()].filter((handle) => handle.kind === kind);
    if (all.length === 0) return undefined;
    return random.pick(all) as Extract<Handle, { kind: Kind }>;
  }

  read(handle: FileHandle, at: number, size: number): RequestId {
    return this.#send({ kind: 'read', handle, at, size }, undefined, (core, id) => {
      if (isKnown(handle)) core.read(id, handle.id, at, size);
      else core.read(id, NO_HANDLE, at, size, handle.known.ino);
    });
  }

  #read(random: Random): void {
    const handle = this.#pickHandle(random, 'file');
    if (handle === undefined) return this.#open(random);
    // Nobody hears of these reads.
    if (handle.backingId !== undefined) return;
    if (random.chance(0.3)) handle.position = random.below(3100);
    const at = handle.position;
    const size = random.chance(0.02) ? 0 : random.between(1, this.#readBytesMax);
    handle.position = at + size;
    this.read(handle, at, size);
  }

  opendir(known: Known): RequestId {
    return this.#send({ kind: 'opendir', known }, known, (core, id) => core.opendir(id, known.ino));
  }

  #opendir(random: Random): void {
    const known = this.#pick(random, 'directory') as Known;
    this.opendir(known);
  }

  readdir(handle: DirectoryHandle, at: number, sizeBytes: number, isPlus: boolean): RequestId {
    if (at === 0) handle.stream.rewind(this.#listingSinceMs(handle.known));
    return this.#send({ kind: 'readdir', handle, at }, undefined, (core, id) => {
      core.readdir(id, handle.id, { offset: at, sizeBytes, isPlus });
    });
  }

  #readdir(random: Random): void {
    const handle = this.#pickHandle(random, 'directory');
    // The kernel holds a lock: one at a time of each handle.
    if (handle === undefined || handle.requests > 0) return this.#opendir(random);
    const { stream } = handle;
    const isRewind = random.chance(stream.isAtEnd ? 0.5 : 0.02);
    const at = isRewind ? 0 : random.chance(0.1) ? stream.earlierOffset(random) : stream.offset;
    const isPlus = random.chance(0.5);
    this.readdir(handle, at, random.between(420, 3000), isPlus);
  }

  /** How far back a listing that the core uses now may have been asked for. */
  #listingSinceMs(known: Known): number {
    const freshMs = this.#clock.nowMs() - this.#options.entryTimeoutMs;
    return Math.min(freshMs, this.#cluster.listingSinceMs(known.path));
  }

  #release(random: Random): void {
    const idle = [...this.#handles.values()].filter(({ requests }) => requests === 0);
    if (idle.length > 0) this.release(random.pick(idle));
  }

  release(handle: Handle): void {
    this.#handles.delete(handle.id);
    handle.known.uses--;
    if (!isKnown(handle)) return;
    this.#send({ kind: 'wrong', code: 'ok' }, undefined, (core, id) => core.release(id, handle.id));
  }

  #lseek(random: Random): void {
    const handle = this.#pickHandle(random, 'file');
    if (handle === undefined) return;
    const at = random.below(3100);
    const isData = random.chance(0.5);
    this.#send({ kind: 'lseek', handle, at, isData }, undefined, (core, id) => {
      const whence = isData ? 'data' : 'hole';
      if (isKnown(handle)) core.lseek(id, handle.id, at, whence);
      else core.lseek(id, NO_HANDLE, at, whence, handle.known.ino);
    });
  }

  #xattr(random: Random): void {
    const known = random.pick([...this.#inodes.values()]);
    const name = random.pick([...XATTRS, 'user.other', 'system.posix_acl_access', '']);
    const size = random.pick([0, 3, 100]);
    this.#send({ kind: 'xattr', known, name, size }, known, (core, id) => {
      if (name === '') core.listxattr(id, known.ino, size);
      else core.getxattr(id, known.ino, name as ByteString, size);
    });
  }

  #interrupt(random: Random): void {
    const waiting = [...this.#requests.keys()];
    // Some interrupts come after the answer.
    const isLate = waiting.length === 0 || random.chance(0.1);
    const target = isLate
      ? (random.between(1, this.#lastId + 2) as RequestId)
      : random.pick(waiting);
    this.#note(`interrupt ${target}`);
    this.because({ kind: 'interrupt', target }, (core) => core.interrupt(target));
    assert.ok(!this.#requests.has(target), 'an interrupted request goes on waiting');
  }

  /** What no well-behaved kernel sends, or only after a restart. */
  #wrong(random: Random): void {
    const kind = random.below(8);
    const send = (code: FsErrorCode | 'ok', act: (core: Core, id: RequestId) => void): void => {
      this.#send({ kind: 'wrong', code }, undefined, act);
    };
    const gone = 77 as InodeId;
    const never = (2 ** 40 + 5) as HandleId;
    if (kind === 0) send('bad-handle', (core, id) => core.read(id, never, 0, 10));
    else if (kind === 1) send('stale', (core, id) => core.read(id, 5 as HandleId, 0, 10));
    else if (kind === 2) send('stale', (core, id) => core.getattr(id, gone));
    else if (kind === 3) send('stale', (core, id) => core.open(id, gone, READ_ONLY));
    else if (kind === 4) send('is-a-directory', (core, id) => core.open(id, ROOT_INODE, READ_ONLY));
    else if (kind === 5) send('read-only', (core, id) => core.access(id, ROOT_INODE, true));
    else if (kind === 6) {
      const name = 'x'.repeat(256) as ByteString;
      send('name-too-long', (core, id) => core.lookup(id, ROOT_INODE, name));
    } else {
      const file = this.#pick(random, 'file');
      const name = 'a' as ByteString;
      if (file === undefined) send('ok', (core, id) => core.access(id, ROOT_INODE, false));
      else send('not-a-directory', (core, id) => core.lookup(id, file.ino, name));
    }
  }

  forgetAll(): void {
    for (const known of Array.from(this.#inodes.values())) {
      if (known !== this.root) this.#give(known, known.lookups);
    }
  }

  handles(): Handle[] {
    return [...this.#handles.values()];
  }

  find(path: ByteString): Known | undefined {
    const found = [...this.#inodes.values()].filter((known) => known.path === path);
    return found.at(-1);
  }

  // What the kernel is told.

  #take<Kind extends Call['kind']>(
    id: RequestId,
    ...kinds: Kind[]
  ): Request & { readonly call: Extract<Call, { kind: Kind }> } {
    const request = this.#requests.get(id);
    assert.ok(request !== undefined, `an answer to ${id}, which does not wait for one`);
    this.#requests.delete(id);
    this.answers++;
    if (request.known !== undefined) request.known.uses--;
    const { call } = request;
    if ('handle' in call) call.handle.requests--;
    assert.ok(kinds.includes(call.kind as Kind), `a ${call.kind} is answered as a ${kinds.join()}`);
    return request as Request & { readonly call: Extract<Call, { kind: Kind }> };
  }

  /** How long ago the answer's knowledge may have been asked for, by the TTL given with it. */
  #askedMs(ttlMs: number, timeoutMs: number): number {
    assert.ok(ttlMs >= 0 && ttlMs <= timeoutMs, `a TTL of ${ttlMs} of ${timeoutMs}`);
    const nowMs = this.#clock.nowMs();
    if (ttlMs > 0) return nowMs - (timeoutMs - ttlMs);
    const { attrTimeoutMs, entryTimeoutMs, negativeTimeoutMs } = this.#options;
    return Math.min(
      nowMs - Math.max(attrTimeoutMs, entryTimeoutMs, negativeTimeoutMs),
      this.#cause.kind === 'delivery' ? this.#cause.delivery.submittedMs : nowMs,
    );
  }

  #judge(path: ByteString, attributes: Attributes, sinceMs: number): void {
    if (path === ROOT) {
      assert.equal(attributes.ino, ROOT_INODE);
      return;
    }
    const { kind, lengthBytes, mtimeMs } = attributes;
    const isTrue = this.#world.during(path, sinceMs).some((state) => {
      return state.kind === kind && state.lengthBytes === lengthBytes && state.mtimeMs === mtimeMs;
    });
    assert.ok(isTrue, `${path} was no ${kind} of ${lengthBytes} bytes since ${sinceMs}`);
  }

  /** What is told of an inode never goes back to an older look at it. */
  #judgeOrder(attributes: Attributes, attrTtlMs: number): void {
    const known = this.#inodes.get(attributes.ino);
    const { attrTimeoutMs } = this.#options;
    if (known === undefined || known === this.root || attrTtlMs === 0) return;
    const askedMs = this.#askedMs(attrTtlMs, attrTimeoutMs);
    assert.ok(askedMs >= known.askedMs, `${known.path} is told older news than before`);
    known.askedMs = askedMs;
    const { gone } = known;
    if (gone === undefined || askedMs >= gone.atMs) return;
    const { lengthBytes, mtimeMs } = attributes;
    // Another version may be told with the same words.
    const isOther = this.#world.during(known.path, askedMs).some((state) => {
      const isTold = state.lengthBytes === lengthBytes && state.mtimeMs === mtimeMs;
      return state.kind === 'file' && isTold && !isVersion(state, gone.version);
    });
    assert.ok(isOther, `${known.path} is told in the version that was found gone later`);
  }

  /** Since when a name's absence would be news: what the kernel still holds was seen then. */
  #seenMs(parent: Known, path: ByteString): number {
    let seenMs = -Infinity;
    for (const known of this.#inodes.values()) {
      const isThere = known.parentIno === parent.ino && known.path === path;
      if (isThere) seenMs = Math.max(seenMs, known.askedMs);
    }
    // After a failure made up here the sighting is doubted, with reason.
    const doubtedMs = this.#cluster.injectedMs.get(path) ?? -Infinity;
    return doubtedMs >= seenMs ? -Infinity : seenMs;
  }

  /** One more lookup of the inode. */
  #learn(
    path: ByteString,
    parent: Known | undefined,
    attributes: Attributes,
    sinceMs: number,
  ): void {
    const { ino, kind } = attributes;
    let known = this.#inodes.get(ino);
    if (known === undefined) {
      known = {
        ino,
        path,
        parentIno: parent?.ino,
        kind,
        bornMs: this.#clock.nowMs(),
        sinceMs,
        askedMs: -Infinity,
        gone: undefined,
        lookups: 0,
        uses: 0,
        cached: undefined,
      };
      this.#inodes.set(ino, known);
    }
    assert.equal(known.path, path, `inode ${ino} is two paths`);
    assert.equal(known.kind, kind, `inode ${ino} changes its kind`);
    known.lookups++;
  }

  entry(id: RequestId, attributes: Attributes, attrTtlMs: number, entryTtlMs: number): void {
    const { parent, name } = this.#take(id, 'lookup').call;
    const { attrTimeoutMs, entryTimeoutMs } = this.#options;
    if (name === '.' || name === '..') {
      const path = name === '.' || parent === this.root ? parent.path : parentOf(parent.path);
      this.#learn(path, undefined, attributes, -Infinity);
      return;
    }
    const path = joinPath(parent.path, name);
    const sinceMs = Math.max(
      this.#askedMs(attrTtlMs, attrTimeoutMs),
      this.#askedMs(entryTtlMs, entryTimeoutMs),
    );
    this.#judge(path, attributes, sinceMs);
    this.#learn(path, parent, attributes, sinceMs);
    this.#judgeOrder(attributes, attrTtlMs);
  }

  negativeEntry(id: RequestId, ttlMs: number): void {
    const { parent, name } = this.#take(id, 'lookup').call;
    const path = joinPath(parent.path, name);
    const { negativeTimeoutMs, entryTimeoutMs } = this.#options;
    assert.ok(ttlMs <= negativeTimeoutMs, 'a name is absent for too long');
    const sinceMs = this.#askedMs(ttlMs, Math.max(negativeTimeoutMs, entryTimeoutMs));
    this.#errors.judgeAbsent(path, Math.max(sinceMs, this.#seenMs(parent, path)));
  }

  attributes(id: RequestId, attributes: Attributes, ttlMs: number): void {
    const { known } = this.#take(id, 'getattr').call;
    assert.equal(attributes.ino, known.ino);
    assert.equal(attributes.kind, known.kind);
    // Who has an old version open in passthrough sees that one.
    if (ttlMs > 0 || !this.#isCopied(known, attributes)) {
      this.#judge(known.path, attributes, this.#askedMs(ttlMs, this.#options.attrTimeoutMs));
    }
    this.#judgeOrder(attributes, ttlMs);
  }

  #isCopied(known: Known, { lengthBytes, mtimeMs }: Attributes): boolean {
    for (const handle of this.#handles.values()) {
      if (handle.known !== known || handle.kind !== 'file') continue;
      if (handle.backingId === undefined) continue;
      const state = this.#backings.stateOf(handle.backingId);
      return state.lengthBytes === lengthBytes && state.mtimeMs === mtimeMs;
    }
    return false;
  }

  opened(id: RequestId, handle: HandleId, keepCache: boolean, backingId: number | undefined): void {
    const { call, sentMs, newsMs } = this.#take(id, 'open');
    const { known } = call;
    assert.ok(!this.#handles.has(handle), 'a handle is given twice');
    // It may have waited for the answer whether there is a copy, whatever else came meanwhile.
    const waitedMs = this.#clock.nowMs() - sentMs;
    const sinceMs = Math.min(this.#askedMs(0, 0) - waitedMs, newsMs);
    let versions = new Set(
      this.#world.during(known.path, sinceMs).filter(({ kind }) => kind === 'file'),
    );
    // An inode that the kernel forgot and found again has nothing to keep, nor has one that it reads itself.
    if (keepCache && backingId === undefined && known.cached !== undefined) {
      keepOnly(known.cached, (state) => versions.has(state));
      versions = known.cached;
    }
    for (const other of this.#handles.values()) {
      if (other.kind !== 'file' || other.known !== known) continue;
      assert.equal(backingId, other.backingId, 'EIO: an inode is opened in two modes');
    }
    if (backingId !== undefined) {
      const copied = this.#backings.stateOf(backingId);
      versions = new Set([...versions].filter((state) => state === copied));
    }
    assert.ok(versions.size > 0, `${known.path} was opened but had no such version`);
    known.cached = versions;
    known.uses++;
    this.#handles.set(handle, {
      kind: 'file',
      id: handle,
      known,
      sinceMs: Math.min(sinceMs, known.sinceMs),
      versions,
      backingId,
      position: 0,
      requests: 0,
    });
    assert.ok(this.handleCount <= this.#options.handlesMax, 'more handles than allowed');
  }

  created(): void {
    assert.fail('a read-only core has made a file');
  }

  written(): void {
    assert.fail('a read-only core has written');
  }

  openedDirectory(id: RequestId, handle: HandleId): void {
    const { known } = this.#take(id, 'opendir').call;
    assert.ok(!this.#handles.has(handle), 'a handle is given twice');
    known.uses++;
    const stream = new DirectoryStream(this.#world, known.path, this.#listingSinceMs(known));
    this.#handles.set(handle, { kind: 'directory', id: handle, known, stream, requests: 0 });
    assert.ok(this.handleCount <= this.#options.handlesMax, 'more handles than allowed');
  }

  data(id: RequestId, segments: readonly Uint8Array[], lengthBytes: number): void {
    const { handle, at, size } = this.#take(id, 'read').call;
    const bytes = Buffer.concat(segments);
    assert.equal(bytes.length, lengthBytes, 'the length told is not that of the segments');
    this.dataBytes += bytes.length;
    keepOnly(handle.versions, (state) => {
      return this.#world
        .content(state)
        .subarray(at, at + size)
        .equals(bytes);
    });
    assert.ok(
      handle.versions.size > 0,
      `${lengthBytes} bytes at ${at} of ${handle.known.path} are of no version that was opened`,
    );
  }

  entries(id: RequestId, sizeBytes: number, fill: (sink: EntrySink) => void): void {
    const { handle, at } = this.#take(id, 'readdir').call;
    const { known, stream } = handle;
    let room = sizeBytes;
    let hasRefused = false;
    const answer = stream.answer(at);
    const fits = (name: ByteString, fixedBytes: number): boolean => {
      assert.ok(!hasRefused, 'an entry after one that did not fit');
      const neededBytes = (fixedBytes + name.length + 7) & ~7;
      if (neededBytes > room) hasRefused = true;
      else room -= neededBytes;
      return !hasRefused;
    };
    fill({
      add: (name, ino, kind, nextOffset) => {
        if (!fits(name, 24)) return false;
        const child = this.#inodes.get(ino);
        if (name === '.') assert.equal(ino, known.ino);
        else if (name !== '..' && child !== undefined) {
          assert.equal(child.path, joinPath(known.path, name));
        }
        answer.entry(name, kind, nextOffset);
        return true;
      },
      addPlus: (name, attributes, attrTtlMs, entryTtlMs, nextOffset) => {
        if (!fits(name, 152)) return false;
        const { attrTimeoutMs, entryTimeoutMs } = this.#options;
        const path = joinPath(known.path, name);
        const sinceMs = Math.max(
          attrTtlMs > 0 ? this.#askedMs(attrTtlMs, attrTimeoutMs) : stream.sinceMs,
          entryTtlMs > 0 ? this.#askedMs(entryTtlMs, entryTimeoutMs) : stream.sinceMs,
        );
        this.#judge(path, attributes, sinceMs);
        answer.entry(name, attributes.kind, nextOffset);
        this.#learn(path, known, attributes, sinceMs);
        this.#judgeOrder(attributes, attrTtlMs);
        return true;
      },
    });
    assert.ok(!hasRefused || room < sizeBytes, 'nothing fits: an empty answer is the end');
    answer.end();
  }

  attributeValue(id: RequestId, value: Uint8Array, sizeBytes: number): void {
    const { known, name, size } = this.#take(id, 'xattr').call;
    assert.equal(sizeBytes, size);
    assert.ok(size === 0 || value.length <= size, 'longer than asked for');
    const text = Buffer.from(value).toString('latin1');
    if (name === 'user.alluxio.ufs_path') assert.equal(text, ufsPathOf(known.path));
    else if (name === 'user.alluxio.worker') assert.equal(text, workersOf(known.path).join());
    else if (name === 'user.alluxio.cached') {
      assert.match(text, /^\d+\/\d+$/);
      assert.equal(known.kind, 'file');
    } else {
      assert.equal(name, '');
      const own = known.kind === 'file' ? XATTRS : XATTRS.slice(0, 2);
      assert.equal(text, own.map((each) => `${each}\0`).join(''));
    }
  }

  offset(id: RequestId, offset: number): void {
    const { handle, at, isData } = this.#take(id, 'lseek').call;
    keepOnly(handle.versions, ({ lengthBytes }) => at < lengthBytes);
    if (!isData) keepOnly(handle.versions, ({ lengthBytes }) => lengthBytes === offset);
    else assert.equal(offset, at);
    assert.ok(handle.versions.size > 0, 'a seek to where no version has anything');
  }

  ok(id: RequestId): void {
    assert.equal(this.#take(id, 'wrong').call.code, 'ok');
  }

  error(id: RequestId, code: FsErrorCode): void {
    const request = this.#requests.get(id);
    assert.ok(request !== undefined, `an error to ${id}, which does not wait for an answer`);
    this.#take(id, request.call.kind);
    this.lastError = code;
    const sinceMs = this.#askedMs(0, 0);
    const asked = { request, cause: this.#cause, handleCount: this.handleCount, sinceMs };
    assert.ok(this.#errors.isExpected(asked, code), `${request.call.kind} fails with ${code}`);
  }
}
