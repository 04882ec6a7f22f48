/**
 * Changes through the core, one request at a time, against a plain model of a POSIX tree. Between two
 * requests any number of jobs is done; some fail, and then nothing may have changed but what the
 * program was told. Meanwhile others open and read the same files: what changes is this mount's own doing,
 * so every one of them gets bytes that the file had.
 */
import assert from 'node:assert/strict';
import { joinPath } from '../../src/base/byte-string.ts';
import type { ByteString } from '../../src/base/byte-string.ts';
import { ManualClock } from '../../src/base/clock.ts';
import type { Random } from '../../src/base/random.ts';
import { MemoryTier, Slab } from '../../src/cache/index.ts';
import { Core, Counters, ROOT_INODE } from '../../src/vfs/index.ts';
import type { CoreReplies, FsErrorCode, InodeId, RequestId } from '../../src/vfs/index.ts';
import { copyOf } from './attributes-copy.ts';
import type { Answer, ModelFile, ModelNode, Open, Other } from './write-model.ts';
import { MemoryStaging, WriteStore } from './write-store.ts';

const PAGE = 256;
const NAMES = ['a', 'b', 'c', 'd'] as ByteString[];
const LENGTH_MAX = 1500;
const CREATION = { mode: 0o644, uid: 0, gid: 0 };
const ROOT = '/' as ByteString;
/** For requests that are not about one. */
const NO_FILE: ModelFile = { kind: 'file', bytes: Buffer.alloc(0), mode: 0, isUnlinked: false };

/** Errors that an injected failure may cause. */
const INJECTED: readonly FsErrorCode[] = ['unavailable', 'io'];

/** As many requests beside the one that changes something. */
const OTHERS_MAX = 4;
/** Files that the kernel knows, beside those that are open. */
const KNOWN_MAX = 6;

export class WriteSimulation {
  readonly #clock = new ManualClock();
  readonly #staging = new MemoryStaging(40_000);
  readonly #slab = new Slab({ slotBytes: 128, slotCount: 200 });
  readonly #store = new WriteStore(this.#slab, this.#staging, PAGE);
  readonly #core: Core;
  readonly #answers = new Map<RequestId, Answer>();
  readonly #model = new Map<ByteString, ModelNode>([[ROOT, { kind: 'directory', mode: 0o755 }]]);
  #open: Open[] = [];
  #lastRequest = 0;
  #others: Other[] = [];
  #othersMax = OTHERS_MAX;
  readonly #known: {
    readonly ino: InodeId;
    readonly file: ModelFile;
    readonly lookups: readonly InodeId[];
  }[] = [];
  /** An injected failure was heard of in this step. */
  #hasFailed = false;
  readonly trace: string[] = [];
  succeeded = 0;

  constructor() {
    this.#core = new Core({
      options: {
        incarnation: 1,
        isReadOnly: false,
        isImmutable: false,
        isWriteBack: false,
        defaults: { uid: 0, gid: 0, fileMode: 0o644, dirMode: 0o755 },
        attrTimeoutMs: 500,
        entryTimeoutMs: 500,
        negativeTimeoutMs: 500,
        requestTimeoutMs: 1e9,
        readAheadBytes: 1024,
        handlesMax: 100,
        passthroughBytesMin: 0,
        inodesMax: 1000,
        listingEntriesMax: 1000,
        pathBytesMax: 4000,
        provesAbsence: () => true,
      },
      clock: this.#clock,
      wallMs: 1_000_000,
      counters: new Counters(),
      tier: new MemoryTier(this.#slab, PAGE),
      staging: this.#staging,
      replies: this.#replies(),
      effects: {
        submit: (job) => this.#store.submit(job),
        invalidateInode: () => undefined,
        invalidateEntry: () => undefined,
        report: () => undefined,
      },
    });
  }

  #replies(): CoreReplies {
    const put = (request: RequestId, answer: Answer): void => {
      assert.ok(!this.#answers.has(request), 'a request is answered twice');
      this.#answers.set(request, answer);
    };
    return {
      error: (request, code) => put(request, { kind: 'error', code }),
      entry: (request, attributes) =>
        put(request, { kind: 'entry', attributes: copyOf(attributes) }),
      negativeEntry: (request) => put(request, { kind: 'absent' }),
      attributes: (request, attributes) =>
        put(request, { kind: 'attributes', attributes: copyOf(attributes) }),
      opened: (request, handle) => put(request, { kind: 'opened', handle }),
      openedDirectory: (request, handle) => put(request, { kind: 'opened', handle }),
      created: (request, attributes, _ttls, handle) =>
        put(request, { kind: 'created', attributes: copyOf(attributes), handle }),
      written: (request) => put(request, { kind: 'ok' }),
      data: (request, segments) => put(request, { kind: 'data', bytes: Buffer.concat(segments) }),
      entries: (request, _size, fill) => {
        const names: ByteString[] = [];
        fill({
          add: (name, _ino, _kind, nextOffset) => {
            this.#nextOffset = nextOffset;
            return names.push(name) > 0;
          },
          addPlus: (name, attributes, _attrTtlMs, _entryTtlMs, nextOffset) => {
            this.#nextOffset = nextOffset;
            names.push(name);
            this.#listed.push(attributes.ino);
            return true;
          },
        });
        put(request, { kind: 'names', names });
      },
      attributeValue: (request, value) => put(request, { kind: 'data', bytes: Buffer.from(value) }),
      offset: (request) => put(request, { kind: 'ok' }),
      ok: (request) => put(request, { kind: 'ok' }),
    };
  }

  /** Lookups that a listing with attributes has given to the kernel. */
  #listed: InodeId[] = [];
  #nextOffset = 0;

  /** Asks the core and lets jobs run until it has answered. */
  #ask(random: Random, start: (request: RequestId) => void): Answer {
    const request = this.#newRequest();
    start(request);
    for (let steps = 0; !this.#answers.has(request); steps++) {
      assert.ok(steps < 1000, 'a request is not answered');
      assert.ok(this.#store.jobCount > 0, 'a request waits for nothing');
      if (random.chance(0.2)) this.#other(random);
      if (random.chance(0.2)) this.#clock.advance(random.below(400));
      this.#work(random);
    }
    const answer = this.#answers.get(request) as Answer;
    this.#answers.delete(request);
    return answer;
  }

  #newRequest(): RequestId {
    return ++this.#lastRequest as RequestId;
  }

  #work(random: Random): void {
    for (const result of this.#store.step(random)) {
      this.#hasFailed ||= result.kind === 'failed' && INJECTED.includes(result.code);
      this.#core.deliver(result);
    }
  }

  step(random: Random): void {
    this.#store.failureChance = random.chance(0.2) ? 0.3 : 0;
    this.#hasFailed = false;
    this.#clock.advance(random.below(400));
    while (this.#store.jobCount > 0 && random.chance(0.3)) this.#work(random);
    if (random.chance(0.1)) this.#core.tick();
    if (random.chance(0.3)) this.#remember(random);
    if (random.chance(0.1)) this.#forgetOne();
    const action = random.pick(this.#actions());
    action(random);
    this.#settleOthers();
    this.#core.checkInvariants();
  }

  /** The kernel knows some files, and lets go of others. */
  #remember(random: Random): void {
    const files = this.#files();
    if (files.length === 0) return;
    const [path, file] = random.pick(files);
    this.#walk(random, path, (ino, held) =>
      this.#known.push({ ino, file, lookups: held.splice(0) }),
    );
    if (this.#known.length > KNOWN_MAX) this.#forgetOne();
  }

  #forgetOne(): void {
    const idle = this.#known.findIndex(({ ino }) => !this.#others.some((each) => each.ino === ino));
    for (const { lookups } of idle < 0 ? [] : this.#known.splice(idle, 1)) {
      for (const each of lookups) this.#core.forget(each, 1);
    }
  }

  /** Somebody opens, reads or looks at a file, and waits while others change it. */
  #other(random: Random): void {
    if (this.#others.length >= this.#othersMax) return;
    const kind = random.pick(['read', 'read', 'open', 'look', 'list'] as const);
    if (kind === 'read' && this.#open.length > 0) this.#readBeside(random);
    else if (kind === 'open' && this.#known.length > 0) this.#openBeside(random);
    else if (kind === 'look' && this.#known.length > 0) this.#lookBeside(random);
    else if (kind === 'list') this.#listBeside(random);
  }

  /** Its entries are told to the core beside what changes them; what it shows is either. */
  #listBeside(random: Random): void {
    const opening = this.#newRequest();
    this.#core.opendir(opening, ROOT_INODE);
    const opened = this.#answers.get(opening);
    this.#answers.delete(opening);
    assert.ok(opened?.kind === 'opened');
    const { handle } = opened;
    const request = this.#await({ what: 'list /', file: NO_FILE }, (answer) => {
      if (answer.kind === 'error') assert.ok(INJECTED.includes(answer.code), answer.code);
      else assert.equal(answer.kind, 'names');
      for (const each of this.#listed.splice(0)) this.#core.forget(each, 1);
      const closing = this.#newRequest();
      this.#core.release(closing, handle);
      this.#answers.delete(closing);
    });
    this.#core.readdir(request, handle, {
      offset: 0,
      sizeBytes: 100_000,
      isPlus: random.chance(0.5),
    });
  }

  #openBeside(random: Random): void {
    const { ino, file } = random.pick(this.#known);
    // What has no name the kernel has forgotten.
    if (this.#open.length > 6 || file.isUnlinked) return;
    const path = this.#pathOf(file);
    const request = this.#await({ what: `open ${ino}`, ino, file }, (answer) => {
      if (answer.kind === 'opened') {
        this.#open.push({ handle: answer.handle, file, canWrite: false });
        return;
      }
      assert.ok(answer.kind === 'error');
      // Where it is told ESTALE the kernel looks again, and finds what the name is by now.
      const hasLeft = this.#pathOf(file) !== path;
      const expected = [...INJECTED, 'stale', ...(hasLeft ? ['not-found'] : [])];
      assert.ok(expected.includes(answer.code), `an open beside fails with ${answer.code}`);
    });
    this.#core.open(request, ino, { wantsWrite: false, truncates: false });
  }

  #lookBeside(random: Random): void {
    const { ino, file } = random.pick(this.#known);
    const request = this.#await({ what: `getattr ${ino}`, ino, file }, (answer, versions) => {
      if (answer.kind === 'error') {
        assert.ok(INJECTED.includes(answer.code), `a look beside fails with ${answer.code}`);
        return;
      }
      assert.ok(answer.kind === 'attributes');
      const { lengthBytes } = answer.attributes;
      const isOne = file.isUnlinked || versions.some(({ length }) => length === lengthBytes);
      assert.ok(isOne, `a file of ${lengthBytes} bytes, which it never had`);
    });
    this.#core.getattr(request, ino);
  }

  #pathOf(file: ModelFile): ByteString | undefined {
    return this.#files().find(([, other]) => other === file)?.[0];
  }

  #readBeside(random: Random): void {
    const { handle, file } = random.pick(this.#open);
    const offset = random.below(LENGTH_MAX);
    const size = random.below(900);
    const what = `read ${handle} ${offset}+${size}`;
    const request = this.#await({ what, handle, file }, (answer, versions) => {
      if (answer.kind === 'error') {
        assert.ok(INJECTED.includes(answer.code), `${what} fails with ${answer.code}`);
        return;
      }
      assert.ok(answer.kind === 'data');
      const { bytes } = answer;
      // A file that grows meanwhile may be read to the end that it had.
      const parts = versions.map((each) => each.subarray(offset, offset + size));
      const isOne = parts.some((part) => part.subarray(0, bytes.length).equals(bytes));
      const isWhole = parts.some(({ length }) => bytes.length >= length);
      assert.ok(isOne && isWhole, `${what}: bytes that the file never had`);
    });
    this.#core.read(request, handle, offset, size);
  }

  #await(asked: Pick<Other, 'what' | 'ino' | 'handle' | 'file'>, done: Other['done']): RequestId {
    const request = this.#newRequest();
    this.trace.push(`beside ${request}: ${asked.what}`);
    this.#others.push({ ...asked, request, done, versions: [asked.file.bytes] });
    return request;
  }

  #settleOthers(): void {
    for (const { file, versions } of this.#others) {
      if (versions.at(-1) !== file.bytes) versions.push(file.bytes);
    }
    const answered = this.#others.filter(({ request }) => this.#answers.has(request));
    this.#others = this.#others.filter((other) => !answered.includes(other));
    for (const { request, versions, done } of answered) {
      const answer = this.#answers.get(request) as Answer;
      this.#answers.delete(request);
      this.trace.push(`  beside ${request} is answered`);
      done(answer, versions);
    }
  }

  #actions(): ((random: Random) => void)[] {
    return [
      (random) => this.#create(random),
      (random) => this.#openFile(random),
      (random) => this.#write(random),
      (random) => this.#write(random),
      (random) => this.#read(random),
      (random) => this.#read(random),
      (random) => this.#truncate(random),
      (random) => this.#sync(random),
      (random) => this.#close(random),
      (random) => this.#close(random),
      (random) => this.#unlink(random),
      (random) => this.#makeDirectory(random),
      (random) => this.#removeDirectory(random),
      (random) => this.#rename(random),
      (random) => this.#list(random),
      (random) => this.#stat(random),
      (random) => this.#chmod(random),
      (random) => this.#setTime(random),
      (random) => this.#chownToSame(random),
      (random) => this.#symlink(random),
    ];
  }

  // Paths, as a kernel walks them.

  #directories(): ByteString[] {
    return [...this.#model].filter(([, node]) => node.kind === 'directory').map(([path]) => path);
  }

  #anyPath(random: Random): { parent: ByteString; name: ByteString; path: ByteString } {
    const shallow = this.#directories().filter((path) => path.split('/').length < 4);
    const parent = random.pick(shallow);
    const name = random.pick(NAMES);
    return { parent, name, path: joinPath(parent, name) };
  }

  /** The inode of a path; undefined where an injected failure kept it from being found. */
  #walk(random: Random, path: ByteString, use: (ino: InodeId, held: InodeId[]) => void): void {
    const held: InodeId[] = [];
    let ino: InodeId | undefined = ROOT_INODE;
    for (const name of path.split('/').filter((part) => part !== '')) {
      const parent: InodeId = ino;
      const answer = this.#ask(random, (id) => this.#core.lookup(id, parent, name as ByteString));
      if (answer.kind === 'entry') {
        ({ ino } = answer.attributes);
        held.push(ino);
        continue;
      }
      if (answer.kind === 'error' && INJECTED.includes(answer.code)) ino = undefined;
      else assert.fail(`${path} is not found: ${JSON.stringify(answer)}`);
      break;
    }
    if (ino !== undefined) use(ino, held);
    for (const each of held) this.#core.forget(each, 1);
  }

  /** Whether it went as expected; false for an injected failure. */
  #judge(answer: Answer, expected: FsErrorCode | undefined, what: string): boolean {
    this.trace.push(`  ${what}: ${answer.kind === 'error' ? answer.code : answer.kind}`);
    if (answer.kind === 'error') {
      if (answer.code === expected) return false;
      if (INJECTED.includes(answer.code) && this.#hasFailed) return false;
      assert.fail(`${what} fails with ${answer.code} instead of ${expected ?? 'success'}`);
    }
    assert.equal(expected, undefined, `${what} succeeds, it should fail with ${expected}`);
    this.succeeded++;
    return true;
  }

  #childrenOf(path: ByteString): ByteString[] {
    const prefix = path === ROOT ? '/' : `${path}/`;
    return [...this.#model.keys()].filter(
      (other) =>
        other !== ROOT && other.startsWith(prefix) && !other.slice(prefix.length).includes('/'),
    );
  }

  #create(random: Random): void {
    const { parent, name, path } = this.#anyPath(random);
    const isExclusive = random.chance(0.3);
    const truncates = random.chance(0.3);
    if (this.#open.length > 6) return;
    this.trace.push(`create ${path} excl=${isExclusive} trunc=${truncates}`);
    this.#walk(random, parent, (ino) => {
      const known = this.#model.get(path);
      const expected =
        known === undefined
          ? undefined
          : isExclusive
            ? 'exists'
            : known.kind === 'file'
              ? undefined
              : 'is-a-directory';
      const answer = this.#ask(random, (id) =>
        this.#core.create(id, ino, name, { ...CREATION, wantsWrite: true, truncates, isExclusive }),
      );
      if (!this.#judge(answer, expected, 'create') || answer.kind !== 'created') return;
      let file = known as ModelFile | undefined;
      if (file === undefined) {
        file = { kind: 'file', bytes: Buffer.alloc(0), mode: 0o644, isUnlinked: false };
        this.#model.set(path, file);
        this.#entriesChanged(parent);
      } else if (truncates) file.bytes = Buffer.alloc(0);
      assert.equal(answer.attributes.lengthBytes, file.bytes.length, 'length of a created file');
      this.#core.forget(answer.attributes.ino, 1);
      this.#open.push({ handle: answer.handle, file, canWrite: true });
    });
  }

  #files(): [ByteString, ModelFile][] {
    return [...this.#model].filter(
      (entry): entry is [ByteString, ModelFile] => entry[1].kind === 'file',
    );
  }

  #openFile(random: Random): void {
    const files = this.#files();
    if (files.length === 0 || this.#open.length > 6) return;
    const [path, file] = random.pick(files);
    const wantsWrite = random.chance(0.5);
    const truncates = wantsWrite && random.chance(0.3);
    this.trace.push(`open ${path} write=${wantsWrite} trunc=${truncates}`);
    this.#walk(random, path, (ino) => {
      const answer = this.#ask(random, (id) => this.#core.open(id, ino, { wantsWrite, truncates }));
      if (!this.#judge(answer, undefined, 'open') || answer.kind !== 'opened') return;
      if (truncates) file.bytes = Buffer.alloc(0);
      this.#open.push({ handle: answer.handle, file, canWrite: wantsWrite });
    });
  }

  #write(random: Random): void {
    const open = this.#open.filter(({ canWrite }) => canWrite);
    if (open.length === 0) return;
    const { handle, file } = random.pick(open);
    const offset = random.chance(0.3) ? file.bytes.length : random.below(LENGTH_MAX);
    const data = Buffer.alloc(1 + random.below(400), 1 + random.below(255));
    this.trace.push(`write ${handle} ${offset}+${data.length}`);
    const answer = this.#ask(random, (id) => this.#core.write(id, handle, offset, data, false));
    if (answer.kind === 'error' && answer.code === 'no-space') return;
    if (!this.#judge(answer, undefined, 'write')) return;
    const length = Math.max(file.bytes.length, offset + data.length);
    file.bytes = Buffer.concat([file.bytes], length);
    data.copy(file.bytes, offset);
  }

  #read(random: Random): void {
    if (this.#open.length === 0) return;
    const { handle, file } = random.pick(this.#open);
    const offset = random.below(LENGTH_MAX);
    const size = random.below(900);
    this.trace.push(`read ${handle} ${offset}+${size}`);
    const answer = this.#ask(random, (id) => this.#core.read(id, handle, offset, size));
    if (!this.#judge(answer, undefined, 'read') || answer.kind !== 'data') return;
    const expected = file.bytes.subarray(offset, offset + size);
    assert.ok(expected.equals(answer.bytes), `wrong bytes at ${offset}`);
  }

  #truncate(random: Random): void {
    const open = this.#open.filter(({ canWrite }) => canWrite);
    if (open.length === 0) return;
    const { handle, file } = random.pick(open);
    const path = this.#pathOf(file);
    if (path === undefined) return;
    const lengthBytes = random.below(LENGTH_MAX);
    this.trace.push(`truncate ${path} ${lengthBytes}`);
    this.#walk(random, path, (ino) => {
      const answer = this.#ask(random, (id) =>
        this.#core.setattr(id, ino, handle, { ...NOTHING, lengthBytes }),
      );
      if (!this.#judge(answer, undefined, 'truncate') || answer.kind !== 'attributes') return;
      file.bytes = Buffer.concat([file.bytes.subarray(0, lengthBytes)], lengthBytes);
      assert.equal(answer.attributes.lengthBytes, lengthBytes);
    });
  }

  /** What fsync(2) and close(2) acknowledge is in the cluster. */
  #saved(random: Random, open: Open, isSync = random.chance(0.5)): boolean {
    const answer = this.#ask(random, (id) =>
      isSync ? this.#core.sync(id, open.handle) : this.#core.flush(id, open.handle),
    );
    if (!this.#judge(answer, undefined, 'save')) return false;
    const path = this.#pathOf(open.file);
    if (path !== undefined && open.canWrite) {
      const bytes = this.#store.bytes(path);
      assert.ok(bytes?.equals(open.file.bytes), `${path} is saved with other bytes`);
    }
    return true;
  }

  #sync(random: Random): void {
    if (this.#open.length === 0) return;
    const open = random.pick(this.#open);
    this.trace.push(`fsync ${open.handle}`);
    this.#saved(random, open);
  }

  #close(random: Random): void {
    // The kernel keeps a handle as long as somebody reads it.
    const idle = this.#open.filter(
      ({ handle }) => !this.#others.some((other) => other.handle === handle),
    );
    if (idle.length === 0) return;
    const open = random.pick(idle);
    this.trace.push(`close ${open.handle}`);
    this.#saved(random, open);
    this.#open = this.#open.filter((other) => other !== open);
    const answer = this.#ask(random, (id) => this.#core.release(id, open.handle));
    assert.equal(answer.kind, 'ok');
  }

  #unlink(random: Random): void {
    const { parent, name, path } = this.#anyPath(random);
    this.trace.push(`unlink ${path}`);
    const node = this.#model.get(path);
    this.#walk(random, parent, (ino) => {
      const answer = this.#ask(random, (id) => this.#core.unlink(id, ino, name));
      const expected =
        node === undefined ? 'not-found' : node.kind === 'directory' ? 'is-a-directory' : undefined;
      if (!this.#judge(answer, expected, 'unlink')) return;
      this.#model.delete(path);
      this.#entriesChanged(parent);
      if (node?.kind === 'file') node.isUnlinked = true;
      assert.equal(this.#store.bytes(path), undefined, `${path} is still in the cluster`);
    });
  }

  #makeDirectory(random: Random): void {
    const { parent, name, path } = this.#anyPath(random);
    if (path.split('/').length > 4) return;
    this.trace.push(`mkdir ${path}`);
    this.#walk(random, parent, (ino) => {
      // The kernel asks first and answers by itself where the name is taken.
      if (this.#model.has(path)) return;
      const answer = this.#ask(random, (id) =>
        this.#core.mkdir(id, ino, name, { ...CREATION, mode: 0o755 }),
      );
      if (!this.#judge(answer, undefined, 'mkdir') || answer.kind !== 'entry') return;
      this.#core.forget(answer.attributes.ino, 1);
      this.#model.set(path, { kind: 'directory', mode: 0o755 });
      this.#entriesChanged(parent);
    });
  }

  #removeDirectory(random: Random): void {
    const path = random.pick(this.#directories());
    if (path === ROOT) return;
    this.trace.push(`rmdir ${path}`);
    const slash = path.lastIndexOf('/');
    const parent = (slash === 0 ? '/' : path.slice(0, slash)) as ByteString;
    this.#walk(random, parent, (ino) => {
      const answer = this.#ask(random, (id) =>
        this.#core.rmdir(id, ino, path.slice(slash + 1) as ByteString),
      );
      const isEmpty = this.#childrenOf(path).length === 0;
      if (!this.#judge(answer, isEmpty ? undefined : 'not-empty', 'rmdir')) return;
      this.#model.delete(path);
      this.#entriesChanged(parent);
    });
  }

  #rename(random: Random): void {
    const from = this.#anyPath(random);
    const to = this.#anyPath(random);
    const node = this.#model.get(from.path);
    const target = this.#model.get(to.path);
    // What the kernel answers by itself: no source, a loop, a target of another kind.
    if (node === undefined || to.path === from.path) return;
    if (to.path.startsWith(`${from.path}/`) || from.path.startsWith(`${to.path}/`)) return;
    if (target !== undefined && (target.kind === 'directory') !== (node.kind === 'directory')) {
      return;
    }
    const isExclusive = random.chance(0.2);
    this.trace.push(`rename ${from.path} ${to.path} exclusive=${isExclusive}`);
    this.#walk(random, from.parent, (fromIno) =>
      this.#walk(random, to.parent, (toIno) => {
        const answer = this.#ask(random, (id) =>
          this.#core.rename(
            id,
            { parent: fromIno, name: from.name },
            { parent: toIno, name: to.name },
            isExclusive,
          ),
        );
        const isFull = target?.kind === 'directory' && this.#childrenOf(to.path).length > 0;
        const expected =
          target === undefined
            ? undefined
            : isExclusive
              ? 'exists'
              : isFull
                ? 'not-empty'
                : undefined;
        if (!this.#judge(answer, expected, 'rename')) return;
        // Whoever has it open goes on reading and writing it.
        if (target?.kind === 'file') target.isUnlinked = true;
        this.#entriesChanged(from.parent);
        this.#entriesChanged(to.parent);
        for (const [path, each] of Array.from(this.#model)) {
          if (path !== from.path && !path.startsWith(`${from.path}/`)) continue;
          this.#model.delete(path);
          this.#model.set(`${to.path}${path.slice(from.path.length)}` as ByteString, each);
        }
      }),
    );
  }

  #list(random: Random): void {
    const path = random.pick(this.#directories());
    const isPlus = random.chance(0.5);
    this.trace.push(`list ${path}`);
    this.#walk(random, path, (ino) => {
      const opened = this.#ask(random, (id) => this.#core.opendir(id, ino));
      assert.equal(opened.kind, 'opened');
      if (opened.kind !== 'opened') return;
      const names: ByteString[] = [];
      this.#nextOffset = 0;
      for (;;) {
        const range = { offset: this.#nextOffset, sizeBytes: 100_000, isPlus };
        const answer = this.#ask(random, (id) => this.#core.readdir(id, opened.handle, range));
        if (!this.#judge(answer, undefined, 'readdir') || answer.kind !== 'names') break;
        names.push(...answer.names.filter((name) => name !== '.' && name !== '..'));
        if (answer.names.length > 0) continue;
        const expected = this.#childrenOf(path).map((each) =>
          each.slice(each.lastIndexOf('/') + 1),
        );
        assert.deepEqual(names.sort(), expected.sort(), `names in ${path}`);
        break;
      }
      for (const each of this.#listed.splice(0)) this.#core.forget(each, 1);
      this.#ask(random, (id) => this.#core.release(id, opened.handle));
    });
  }

  #stat(random: Random): void {
    const { parent, name, path } = this.#anyPath(random);
    this.trace.push(`stat ${path}`);
    const node = this.#model.get(path);
    this.#walk(random, parent, (ino) => {
      const answer = this.#ask(random, (id) => this.#core.lookup(id, ino, name));
      if (answer.kind === 'absent') {
        assert.equal(node, undefined, `${path} is not found`);
        return;
      }
      if (!this.#judge(answer, undefined, 'lookup') || answer.kind !== 'entry') return;
      const { attributes } = answer;
      assert.equal(attributes.kind, node?.kind, `kind of ${path}`);
      if (node?.kind === 'file') {
        assert.equal(attributes.lengthBytes, node.bytes.length, `length of ${path}`);
      }
      if (node?.kind === 'directory') {
        assert.equal(attributes.posix?.mtimeMs, node.setMtimeMs, `time of ${path}`);
      }
      if (node !== undefined && node.kind !== 'symlink') {
        const configured = node.kind === 'file' ? 0o644 : 0o755;
        assert.equal(attributes.posix?.mode ?? configured, node.mode, `mode of ${path}`);
      }
      this.#core.forget(attributes.ino, 1);
    });
  }

  #entriesChanged(directory: ByteString): void {
    const node = this.#model.get(directory);
    if (node?.kind === 'directory') node.setMtimeMs = undefined;
  }

  #setTime(random: Random): void {
    const path = random.pick(this.#directories());
    const node = this.#model.get(path);
    if (path === ROOT || node?.kind !== 'directory') return;
    const mtimeMs = random.below(1_000_000);
    this.trace.push(`utime ${path} ${mtimeMs}`);
    this.#walk(random, path, (ino) => {
      const answer = this.#ask(random, (id) =>
        this.#core.setattr(id, ino, undefined, { ...NOTHING, mtimeMs }),
      );
      if (this.#judge(answer, undefined, 'utime')) node.setMtimeMs = mtimeMs;
    });
  }

  #chmod(random: Random): void {
    const { path } = this.#anyPath(random);
    const node = this.#model.get(path);
    if (node === undefined || node.kind === 'symlink') return;
    const mode = random.below(node.kind === 'file' ? 0o10000 : 0o1000);
    this.trace.push(`chmod ${path} ${mode}`);
    this.#walk(random, path, (ino) => {
      const answer = this.#ask(random, (id) =>
        this.#core.setattr(id, ino, undefined, { ...NOTHING, mode }),
      );
      if (this.#judge(answer, undefined, 'chmod')) node.mode = mode;
    });
  }

  /** The bits that run a program as somebody else go, also when the owner stays. */
  #chownToSame(random: Random): void {
    const files = this.#files();
    if (files.length === 0) return;
    const [path, file] = random.pick(files);
    this.trace.push(`chown ${path}`);
    this.#walk(random, path, (ino) => {
      const answer = this.#ask(random, (id) => this.#core.setattr(id, ino, undefined, NOTHING));
      if (!this.#judge(answer, undefined, 'chown')) return;
      const isGroupsProgram = (file.mode & 0o010) !== 0;
      file.mode &= isGroupsProgram ? ~0o6000 : ~0o4000;
    });
  }

  #symlink(random: Random): void {
    const { parent, name, path } = this.#anyPath(random);
    if (this.#model.has(path)) return;
    const target = `to-${random.below(100)}` as ByteString;
    this.trace.push(`symlink ${path}`);
    this.#walk(random, parent, (ino) => {
      const answer = this.#ask(random, (id) =>
        this.#core.makeNode(id, ino, name, 'symlink', { ...CREATION, target }),
      );
      if (!this.#judge(answer, undefined, 'symlink') || answer.kind !== 'entry') return;
      this.#model.set(path, { kind: 'symlink', target });
      this.#entriesChanged(parent);
      const read = this.#ask(random, (id) => this.#core.readlink(id, answer.attributes.ino));
      assert.ok(read.kind === 'data' && read.bytes.toString() === target);
      this.#core.forget(answer.attributes.ino, 1);
    });
  }

  /** Everything is closed and saved: the cluster has the model's tree, and nothing is left over. */
  finish(random: Random): void {
    this.#store.failureChance = 0;
    this.#othersMax = 0;
    while (this.#others.length > 0) {
      assert.ok(this.#store.jobCount > 0, 'a request waits for nothing');
      this.#work(random);
      this.#settleOthers();
    }
    while (this.#known.length > 0) this.#forgetOne();
    while (this.#open.length > 0) this.#close(random);
    for (let round = 0; round < 200; round++) {
      this.#clock.advance(70_000);
      this.#core.tick();
      while (this.#store.jobCount > 0) this.#work(random);
    }
    const expected = [...this.#model.keys()].filter((path) => path !== ROOT);
    assert.deepEqual(this.#store.paths().sort(), expected.sort(), 'names in the cluster');
    for (const [path, file] of this.#files()) {
      assert.ok(this.#store.bytes(path)?.equals(file.bytes), `bytes of ${path} in the cluster`);
    }
    assert.equal(this.#staging.files.size, 0, 'staging files are left');
    assert.equal(this.#staging.heldBytes, 0, 'staging room is left');
    const { inodes, handles, requests, jobs } = this.#core.counts();
    assert.deepEqual(
      { inodes, handles, requests, jobs },
      { inodes: 1, handles: 0, requests: 0, jobs: 0 },
    );
  }
}

const NOTHING = {
  lengthBytes: undefined,
  mode: undefined,
  uid: undefined,
  gid: undefined,
  atimeMs: undefined,
  mtimeMs: undefined,
  clearsPrivileges: false,
};
