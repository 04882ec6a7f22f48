/**
 * Answers that overtake each other, one by one: what the cluster said first must not undo what it
 * said later. The simulation finds these, too, but only with luck in its seeds.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../../src/base/clock.ts';
import type { ByteString } from '../../src/base/byte-string.ts';
import { MemoryTier, NO_STAGING, Slab } from '../../src/cache/index.ts';
import { batchOf, Core, Counters, ROOT_INODE } from '../../src/vfs/index.ts';
import type {
  Attributes,
  CoreReplies,
  EntrySink,
  HandleId,
  Job,
  JobId,
  RequestId,
  StatusMessage,
} from '../../src/vfs/index.ts';
import { copyOf } from './attributes-copy.ts';

const NAME = 'f' as ByteString;
const TTL_MS = 1000;
const [OLD, NEW] = [1, 2].map((mtimeMs): StatusMessage => {
  return { kind: 'file', lengthBytes: 10, mtimeMs, mode: undefined, contentHash: undefined };
}) as [StatusMessage, StatusMessage];

/** Answers as text, and what of them is needed again. */
class Answers implements CoreReplies {
  readonly #texts = new Map<RequestId, string>();
  attributesOf = new Map<RequestId, Attributes>();
  handleOf = new Map<RequestId, HandleId>();

  of(request: number): string | undefined {
    return this.#texts.get(request as RequestId);
  }

  #note(request: RequestId, text: string): void {
    assert.ok(!this.#texts.has(request), 'answered twice');
    this.#texts.set(request, text);
  }

  error(request: RequestId, code: string): void {
    this.#note(request, code);
  }
  entry(request: RequestId, attributes: Attributes, attrTtlMs: number): void {
    this.attributesOf.set(request, copyOf(attributes));
    this.#note(request, `version ${attributes.mtimeMs} for ${attrTtlMs} ms`);
  }
  negativeEntry(request: RequestId): void {
    this.#note(request, 'absent');
  }
  attributes(request: RequestId, attributes: Attributes, ttlMs: number): void {
    this.#note(request, `version ${attributes.mtimeMs} for ${ttlMs} ms`);
  }
  opened(request: RequestId, handle: HandleId): void {
    this.handleOf.set(request, handle);
    this.#note(request, 'opened');
  }
  created(): void {
    assert.fail('a read-only core has made a file');
  }
  written(): void {
    assert.fail('a read-only core has written');
  }
  openedDirectory(request: RequestId, handle: HandleId): void {
    this.handleOf.set(request, handle);
    this.#note(request, 'opened');
  }
  data(request: RequestId): void {
    this.#note(request, 'data');
  }
  entries(request: RequestId, _sizeBytes: number, fill: (sink: EntrySink) => void): void {
    const names: string[] = [];
    const add = (name: string): boolean => names.push(name) > 0;
    fill({ add, addPlus: add });
    this.#note(request, `entries ${names.join(' ')}`);
  }
  attributeValue(request: RequestId): void {
    this.#note(request, 'value');
  }
  offset(request: RequestId): void {
    this.#note(request, 'offset');
  }
  ok(request: RequestId): void {
    this.#note(request, 'ok');
  }
}

function setUp(isReadOnly = true) {
  const clock = new ManualClock();
  const jobs: Exclude<Job, { kind: 'cancel' }>[] = [];
  const answers = new Answers();
  const slab = new Slab({ slotBytes: 64, slotCount: 16 });
  const core = new Core({
    options: {
      incarnation: 1,
      isReadOnly,
      isImmutable: false,
      isWriteBack: false,
      defaults: { uid: 0, gid: 0, fileMode: 0o644, dirMode: 0o755 },
      attrTimeoutMs: TTL_MS,
      entryTimeoutMs: TTL_MS,
      negativeTimeoutMs: TTL_MS,
      requestTimeoutMs: 60_000,
      readAheadBytes: 0,
      handlesMax: 10,
      passthroughBytesMin: 0,
      inodesMax: 100,
      listingEntriesMax: 100,
      pathBytesMax: 4000,
      provesAbsence: () => true,
    },
    clock,
    wallMs: 0,
    counters: new Counters(),
    tier: new MemoryTier(slab, 64),
    staging: NO_STAGING,
    replies: answers,
    effects: {
      submit: (job) => void (job.kind !== 'cancel' && jobs.push(job)),
      invalidateInode: () => undefined,
      invalidateEntry: () => undefined,
      report: () => undefined,
    },
  });
  /** The newest job of the kind that is still unanswered. */
  const takeJob = <Kind extends Job['kind']>(kind: Kind): Extract<Job, { kind: Kind }> => {
    const index = jobs.findLastIndex((job) => job.kind === kind);
    assert.ok(index >= 0, `no ${kind} was asked for`);
    return jobs.splice(index, 1)[0] as Extract<Job, { kind: Kind }>;
  };
  const take = (kind: Job['kind']): JobId => takeJob(kind).id;
  const lookup = (request: number): void => {
    core.lookup(request as RequestId, ROOT_INODE, NAME);
  };
  const listed = (id: JobId, status: StatusMessage): void => {
    const batch = batchOf([NAME], [status]);
    core.deliver({ kind: 'listed', id, batch, isLast: true, unheardMs: 0 });
  };
  /** Of the directory that the request `opened` opened. */
  const readdir = (request: number, opened: number, offset = 0): void => {
    const handle = answers.handleOf.get(opened as RequestId) as HandleId;
    core.readdir(request as RequestId, handle, { offset, sizeBytes: 1000, isPlus: false });
  };
  return { clock, core, answers, take, takeJob, lookup, listed, readdir };
}

test('a late "not found" does not undo what was seen after it was asked', () => {
  const { clock, core, answers, take, lookup, listed } = setUp();
  // Asked first, answered last.
  lookup(1);
  const early = take('stat');
  clock.advance(10);
  core.opendir(2 as RequestId, ROOT_INODE);
  listed(take('list'), NEW);
  lookup(3);
  assert.equal(answers.of(3), `version 2 for ${TTL_MS} ms`);
  clock.advance(10);
  core.deliver({ kind: 'failed', id: early, code: 'not-found', reason: 'No such file' });
  assert.equal(answers.of(1), `version 2 for ${TTL_MS - 10} ms`);
  lookup(5);
  assert.equal(answers.of(5), `version 2 for ${TTL_MS - 10} ms`);
  // Asked later than the sighting, it is believed.
  clock.advance(TTL_MS);
  lookup(7);
  core.deliver({ kind: 'failed', id: take('stat'), code: 'not-found', reason: 'No such file' });
  assert.equal(answers.of(7), 'absent');
});

test('a version that was found gone is not brought back by a listing asked for before', () => {
  const { clock, core, answers, take, lookup, listed } = setUp();
  lookup(1);
  core.deliver({ kind: 'status', id: take('stat'), status: OLD });
  const ino = answers.attributesOf.get(1 as RequestId)?.ino;
  assert.ok(ino !== undefined);
  clock.advance(10);
  core.opendir(3 as RequestId, ROOT_INODE);
  const listing = take('list');
  clock.advance(10);
  core.open(5 as RequestId, ino, { wantsWrite: false, truncates: false });
  const handle = answers.handleOf.get(5 as RequestId);
  assert.ok(handle !== undefined);
  core.read(7 as RequestId, handle, 0, 10);
  core.deliver({ kind: 'failed', id: take('fetch'), code: 'stale', reason: 'Another version' });
  assert.equal(answers.of(7), 'stale');
  listed(listing, OLD);
  // The listing has seen what was gone later: the cluster is asked again.
  core.getattr(9 as RequestId, ino);
  assert.equal(answers.of(9), undefined);
  core.deliver({ kind: 'status', id: take('stat'), status: NEW });
  assert.equal(answers.of(9), `version 2 for ${TTL_MS} ms`);
});

test('a part of a listing with nothing but what was removed does not end the directory', () => {
  const { core, answers, take, lookup, readdir } = setUp(false);
  const listed = (id: JobId, name: string, isLast: boolean): void => {
    const batch = batchOf([name as ByteString], [OLD]);
    core.deliver({ kind: 'listed', id, batch, isLast, unheardMs: 0 });
  };
  lookup(1);
  core.deliver({ kind: 'status', id: take('stat'), status: OLD });
  core.unlink(2 as RequestId, ROOT_INODE, NAME);
  core.deliver({ kind: 'removed', id: take('remove-file'), kept: undefined });
  core.opendir(3 as RequestId, ROOT_INODE);
  const id = take('list');
  listed(id, NAME, false);
  readdir(4, 3);
  readdir(5, 3, 2);
  assert.deepEqual([4, 5].map(answers.of.bind(answers)), [undefined, undefined]);
  listed(id, 'g', true);
  assert.equal(answers.of(4), 'entries . .. g');
  assert.equal(answers.of(5), 'entries g');
});

for (const [how, answer] of [
  ['comes through', 'stale'],
  ['fails', 'opened'],
] as const) {
  test(`who opens a file that is being removed is told ${answer} when that ${how}`, () => {
    const { core, answers, take, lookup } = setUp(false);
    lookup(1);
    core.deliver({ kind: 'status', id: take('stat'), status: OLD });
    const ino = answers.attributesOf.get(1 as RequestId)?.ino;
    assert.ok(ino !== undefined);
    core.unlink(3 as RequestId, ROOT_INODE, NAME);
    const id = take('remove-file');
    core.open(5 as RequestId, ino, { wantsWrite: false, truncates: false });
    // Its bytes are not kept: a reader would find nothing at its first read.
    assert.equal(answers.of(5), undefined);
    if (answer === 'stale') core.deliver({ kind: 'removed', id, kept: undefined });
    else core.deliver({ kind: 'failed', id, code: 'unavailable', reason: 'No worker' });
    assert.equal(answers.of(3), answer === 'stale' ? 'ok' : 'unavailable');
    assert.equal(answers.of(5), answer);
  });
}

/** A directory with a file in it, both known, on its way from `/f` to `/e`; `arrive` ends that. */
function setUpMove() {
  const parts = setUp(false);
  const { clock, core, answers, take, lookup } = parts;
  const directory: StatusMessage = { ...OLD, kind: 'directory' };
  const found = (request: number): Attributes['ino'] => {
    const ino = answers.attributesOf.get(request as RequestId)?.ino;
    assert.ok(ino !== undefined);
    return ino;
  };
  lookup(1);
  core.deliver({ kind: 'status', id: take('stat'), status: directory });
  const parent = found(1);
  core.lookup(2 as RequestId, parent, NAME);
  core.deliver({ kind: 'status', id: take('stat'), status: OLD });
  const move = (): (() => void) => {
    clock.advance(10);
    const request = 101 as RequestId;
    const to = { parent: ROOT_INODE, name: 'e' as ByteString };
    core.rename(request, { parent: ROOT_INODE, name: NAME }, to, false);
    core.deliver({ kind: 'failed', id: take('stat'), code: 'not-found', reason: 'None' });
    const id = take('rename');
    return () => {
      clock.advance(10);
      core.deliver({ kind: 'renamed', id, statuses: [], kept: undefined });
      assert.equal(answers.of(request), 'ok');
    };
  };
  return { ...parts, directory, parent, file: found(2), move };
}

const READING = { wantsWrite: false, truncates: false };

test('a listing asked for before its directory moved tells no version of what is in it now', () => {
  const { core, answers, take, takeJob, listed, parent, file, move } = setUpMove();
  core.opendir(3 as RequestId, parent);
  const listing = take('list');
  move()();
  listed(listing, OLD);
  core.open(4 as RequestId, file, READING);
  assert.equal(answers.of(4), undefined);
  core.deliver({ kind: 'status', id: take('stat'), status: NEW });
  assert.equal(answers.of(4), 'opened');
  assert.equal(takeJob('fetch').version.mtimeMs, NEW.mtimeMs);
});

test('what is not found while its directory moves is looked for where that has gone', () => {
  const { core, answers, take, takeJob, listed, parent, move, readdir } = setUpMove();
  core.opendir(3 as RequestId, parent);
  const listing = take('list');
  core.lookup(4 as RequestId, parent, 'g' as ByteString);
  const status = take('stat');
  const arrive = move();
  for (const id of [listing, status]) {
    core.deliver({ kind: 'failed', id, code: 'not-found', reason: 'No such file' });
  }
  readdir(5, 3);
  // As gone as its directory: both are where they go.
  const above = takeJob('stat');
  assert.equal(above.path, '/f');
  core.deliver({ kind: 'failed', id: above.id, code: 'not-found', reason: 'No such file' });
  assert.deepEqual([4, 5].map(answers.of.bind(answers)), [undefined, undefined]);
  arrive();
  const again = takeJob('list');
  assert.equal(again.path, '/e');
  listed(again.id, NEW);
  assert.equal(answers.of(5), 'entries . .. f');
  const asked = takeJob('stat');
  assert.equal(asked.path, '/e/g');
  core.deliver({ kind: 'status', id: asked.id, status: NEW });
  assert.match(answers.of(4) ?? '', /^version 2 /);
});

test('a listing that fails for its directory has moved is asked for again, and goes on', () => {
  const { core, answers, take, takeJob, parent, move, readdir } = setUpMove();
  core.opendir(3 as RequestId, parent);
  const id = take('list');
  core.deliver({
    kind: 'listed',
    id,
    batch: batchOf([NAME], [OLD]),
    isLast: false,
    unheardMs: 0,
  });
  const arrive = move();
  core.deliver({ kind: 'failed', id, code: 'not-found', reason: 'No such file' });
  readdir(5, 3);
  assert.equal(answers.of(5), 'entries . .. f');
  arrive();
  const again = takeJob('list');
  assert.equal(again.path, '/e');
  const batch = batchOf([NAME, 'g' as ByteString], [NEW, NEW]);
  core.deliver({ kind: 'listed', id: again.id, batch, isLast: true, unheardMs: 0 });
  readdir(6, 3, 2);
  assert.equal(answers.of(6), 'entries f g');
});

test('names and attributes below a directory that moves are changed where it is then', () => {
  const { core, answers, take, takeJob, parent, file, move } = setUpMove();
  const arrive = move();
  const creation = { mode: 0o755, uid: 0, gid: 0 };
  core.mkdir(3 as RequestId, parent, 'g' as ByteString, creation);
  const unchanged = { lengthBytes: undefined, uid: undefined, gid: undefined };
  const wanted = { ...unchanged, mode: 0o600, atimeMs: undefined, mtimeMs: undefined };
  core.setattr(4 as RequestId, file, undefined, { ...wanted, clearsPrivileges: false });
  core.unlink(5 as RequestId, parent, NAME);
  assert.throws(() => take('make-directory'), /was asked for/);
  arrive();
  const made = takeJob('make-directory');
  assert.equal(made.path, '/e/g');
  core.deliver({ kind: 'status', id: made.id, status: { ...NEW, kind: 'directory' } });
  assert.match(answers.of(3) ?? '', /^version 2 /);
  const changed = takeJob('set-attributes');
  assert.equal(changed.path, '/e/f');
  const removed = takeJob('remove-file');
  assert.equal(removed.path, '/e/f');
});

test('what was made a long time ago is shown where a listing lacks it only if workers may not have heard', () => {
  const { clock, core, answers, take, readdir } = setUp(false);
  const batch = batchOf([], []);
  core.mkdir(1 as RequestId, ROOT_INODE, 'd' as ByteString, { mode: 0o755, uid: 0, gid: 0 });
  const id = take('make-directory');
  core.deliver({ kind: 'status', id, status: { ...NEW, kind: 'directory' } });
  const shownAfter = (ms: number, request: number, unheardMs = 0): string | undefined => {
    clock.advance(ms);
    core.opendir(request as RequestId, ROOT_INODE);
    core.deliver({ kind: 'listed', id: take('list'), batch, isLast: true, unheardMs });
    readdir(request + 1, request);
    return answers.of(request + 1);
  };
  assert.equal(shownAfter(10 * TTL_MS, 2), 'entries . .. d');
  // The workers do not answer.
  assert.equal(shownAfter(100 * TTL_MS, 4, 110 * TTL_MS), 'entries . .. d');
  // They are being told of something else that is newer: this they know, and somebody has removed it.
  assert.equal(shownAfter(2 * TTL_MS, 6, TTL_MS), 'entries . ..');
});

test('what this mount made and another client removed is not listed once that was seen', () => {
  const { clock, core, answers, take, readdir } = setUp(false);
  const name = 'd' as ByteString;
  core.mkdir(1 as RequestId, ROOT_INODE, name, { mode: 0o755, uid: 0, gid: 0 });
  const made = { ...NEW, kind: 'directory' } as const;
  core.deliver({ kind: 'status', id: take('make-directory'), status: made });
  clock.advance(10 * TTL_MS);
  core.lookup(2 as RequestId, ROOT_INODE, name);
  core.deliver({ kind: 'failed', id: take('stat'), code: 'not-found', reason: 'No such file' });
  assert.equal(answers.of(2), 'absent');
  core.opendir(3 as RequestId, ROOT_INODE);
  const nothing = { batch: batchOf([], []), isLast: true, unheardMs: 0 } as const;
  core.deliver({ kind: 'listed', id: take('list'), ...nothing });
  readdir(4, 3);
  assert.equal(answers.of(4), 'entries . ..');
});

test('what is missing in a directory that moves for long is told at once', () => {
  const { core, answers, take, takeJob, parent, directory, move } = setUpMove();
  move();
  core.lookup(3 as RequestId, parent, 'g' as ByteString);
  core.deliver({ kind: 'failed', id: take('stat'), code: 'not-found', reason: 'No such file' });
  const above = takeJob('stat');
  assert.equal(above.path, '/f');
  core.deliver({ kind: 'status', id: above.id, status: directory });
  assert.equal(answers.of(3), 'absent');
});

test('a file opened while its directory moves is read on as the version that it is there', () => {
  const { core, answers, take, takeJob, file, move } = setUpMove();
  const arrive = move();
  core.open(3 as RequestId, file, READING);
  const handle = answers.handleOf.get(3 as RequestId) as HandleId;
  core.read(4 as RequestId, handle, 0, 10);
  core.deliver({ kind: 'failed', id: take('fetch'), code: 'not-found', reason: 'No such file' });
  arrive();
  const asked = takeJob('stat');
  assert.equal(asked.path, '/e/f');
  assert.equal(answers.of(4), undefined);
  core.deliver({ kind: 'status', id: asked.id, status: NEW });
  const fetch = takeJob('fetch');
  assert.deepEqual([fetch.path, fetch.version.mtimeMs], ['/e/f', NEW.mtimeMs]);
  core.deliver({ kind: 'page', id: fetch.id, pageIndex: 0 });
  assert.equal(answers.of(4), 'data');
});
