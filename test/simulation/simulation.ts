/** One run: a seed makes the world, the options and every event. The same seed, the same run. */
import assert from 'node:assert/strict';
import { ManualClock } from '../../src/base/clock.ts';
import { joinPath } from '../../src/base/byte-string.ts';
import type { ByteString } from '../../src/base/byte-string.ts';
import { Random } from '../../src/base/random.ts';
import { MemoryTier, NO_STAGING, Slab } from '../../src/cache/index.ts';
import { Core, Counters } from '../../src/vfs/index.ts';
import type { CoreOptions } from '../../src/vfs/index.ts';
import { FakeBackings } from './fake-backings.ts';
import { FakeCluster } from './fake-cluster.ts';
import { FakeKernel } from './fake-kernel.ts';
import { isListable, World } from './world.ts';
import type { State } from './world.ts';

const SLOT_BYTES = 64;
const PAGE_BYTES = 256;
/** Of 4 slots each; a read may touch this many, so the smallest slab has room for one. */
const READ_PAGES_MAX = 5;
const TRACE_EVENTS = 50;
/** Steps after which a world that holds still must have answered everything. */
const SETTLE_STEPS_MAX = 20_000;

export class Simulation {
  readonly #seed: number;
  readonly #clock = new ManualClock();
  readonly #options: CoreOptions;
  readonly #world: World;
  readonly #tier: MemoryTier;
  readonly #cluster: FakeCluster;
  readonly #backings: FakeBackings;
  readonly #kernel: FakeKernel;
  readonly #core: Core;
  /** A program opens the files of a directory, or walks the tree, beside what happens at random. */
  readonly #isScanning: boolean;
  readonly #trace: string[] = [];
  /** Of the event being run. */
  #random: Random;

  constructor(seed: number) {
    this.#seed = seed;
    this.#random = new Random(seed);
    const random = this.#random;
    // Draws of their own: a seed keeps the world and the times that it had without them.
    const modes = Random.forStep(seed, -1);
    this.#isScanning = Random.forStep(seed, -2).chance(0.5);
    this.#options = {
      incarnation: random.between(1, 3),
      isReadOnly: true,
      isImmutable: modes.chance(0.3),
      isWriteBack: false,
      defaults: { uid: 0, gid: 0, fileMode: 0o644, dirMode: 0o755 },
      attrTimeoutMs: random.pick([0, 50, 400]),
      entryTimeoutMs: Math.max(random.pick([0, 50, 400]), this.#isScanning ? 400 : 0),
      negativeTimeoutMs: random.pick([0, 30, 300]),
      requestTimeoutMs: 1000,
      // The whole of every file here, or nothing.
      readAheadBytes: Math.max(random.pick([0, 8 * 1024 * 1024]), this.#isScanning ? 2000 : 0),
      passthroughBytesMin: modes.pick([0, 300, Infinity]),
      handlesMax: 30,
      inodesMax: random.pick([20, 1000]),
      listingEntriesMax: random.pick([10, 60, 1000]),
      pathBytesMax: 4000,
      provesAbsence: random.chance(0.7) ? isListable : () => false,
    };
    const slotCount = random.pick([24, 40, 100, 400]);
    const slab = new Slab({ slotBytes: SLOT_BYTES, slotCount });
    this.#world = new World(this.#clock, random);
    this.#tier = new MemoryTier(slab, PAGE_BYTES);
    this.#backings = new FakeBackings(!this.#options.isImmutable, () => this.#random);
    this.#cluster = new FakeCluster(this.#clock, this.#world, slab, PAGE_BYTES, this.#backings);
    this.#kernel = new FakeKernel({
      clock: this.#clock,
      world: this.#world,
      cluster: this.#cluster,
      backings: this.#backings,
      options: this.#options,
      readBytesMax: (READ_PAGES_MAX - 1) * PAGE_BYTES,
      note: (what) => this.#note(what),
    });
    this.#core = new Core({
      options: this.#options,
      clock: this.#clock,
      wallMs: 0,
      counters: new Counters(),
      tier: this.#tier,
      staging: NO_STAGING,
      backings: this.#backings,
      replies: this.#kernel,
      effects: {
        submit: (job) => {
          this.#note(`  ${job.kind} job ${job.id}`, 'path' in job ? job.path : '');
          this.#cluster.submit(job, this.#random);
        },
        invalidateInode: (ino) => this.#note(`  invalidate inode ${ino}`),
        invalidateEntry: (parent, name) => this.#note(`  invalidate ${parent}/${name}`),
        report: () => {},
      },
    });
    this.#kernel.attach(this.#core);
  }

  get answers(): number {
    return this.#kernel.answers;
  }

  get dataBytes(): number {
    return this.#kernel.dataBytes;
  }

  get trace(): string {
    return this.#trace.join('\n');
  }

  #note(...words: (string | number)[]): void {
    this.#trace.push(`${this.#clock.nowMs()} ${words.join(' ')}`);
    if (this.#trace.length > TRACE_EVENTS) this.#trace.shift();
  }

  /** The event of this number; events may be left out. */
  step(index: number): void {
    this.#random = Random.forStep(this.#seed, index);
    this.#event(this.#random);
    // Draws of its own, as above.
    const own = Random.forStep(-this.#seed, index);
    if (this.#isScanning && index % 4 === 0) this.#kernel.scan(own);
    else if (this.#isScanning && index % 4 === 2) this.#kernel.walk(own);
    this.#check();
  }

  #event(random: Random): void {
    const kind = random.below(1000);
    // Where much waits, more of it is answered.
    const jobShare = this.#cluster.count > 30 ? 600 : 400;
    if (kind < jobShare) this.#deliver(random);
    else if (kind < 880) this.#kernel.act(random);
    else if (kind < 960) this.#pass(random);
    else if (kind < 995) this.#note(this.#world.change(random, this.#cluster.missed()));
    else {
      this.#cluster.isAway = !this.#cluster.isAway && random.chance(0.5);
      this.#note(`the cluster is ${this.#cluster.isAway ? 'away' : 'there'}`);
    }
  }

  #deliver(random: Random): boolean {
    const delivery = this.#cluster.step(random);
    if (delivery === undefined) return false;
    const { result } = delivery;
    const what = result.kind === 'failed' ? `failed ${result.code}` : result.kind;
    this.#note(`job ${result.id} ${what} ${delivery.job.path}`);
    this.#kernel.because({ kind: 'delivery', delivery }, (core) => core.deliver(result));
    return true;
  }

  #pass(random: Random): void {
    const ms = random.chance(0.008) ? random.between(100, 1500) : random.below(12);
    this.#clock.advance(ms);
    this.#note(`${ms} ms pass`);
    this.#kernel.because({ kind: 'tick' }, (core) => core.tick());
    const deadlineMs = this.#clock.nowMs() - this.#options.requestTimeoutMs;
    assert.ok(this.#kernel.oldestSentMs > deadlineMs, 'a request outlives its deadline');
  }

  #check(): void {
    this.#core.checkInvariants();
    this.#tier.checkInvariants();
    const counts = this.#core.counts();
    assert.equal(counts.requests, this.#kernel.waiting, 'requests that wait');
    assert.equal(counts.handles, this.#kernel.handleCount, 'open handles');
    assert.equal(counts.jobs, this.#cluster.count, 'jobs under way');
    assert.ok(counts.jobs > 0 || counts.requests === 0, 'a request waits for nothing');
    assert.equal(this.#tier.usage().slotsFilling, this.#cluster.slotsOwned, 'slots being filled');
  }

  /** The world holds still: everything is answered, and then everything can be read. */
  finish(): void {
    this.#cluster.isAway = false;
    this.#cluster.isCalm = true;
    this.#settle();
    this.#clearOut();
    // What was known may be old: let it expire.
    const { attrTimeoutMs, entryTimeoutMs, negativeTimeoutMs } = this.#options;
    this.#readEverything(false);
    this.#clearOut();
    this.#clock.advance(Math.max(attrTimeoutMs, entryTimeoutMs, negativeTimeoutMs) + 1);
    this.#readEverything(true);
    this.#clearOut();
  }

  /** Delivers all there is; time passes only for jobs that are slow. */
  #settle(): void {
    for (let steps = 0; this.#cluster.count > 0 || this.#kernel.waiting > 0; steps++) {
      assert.ok(steps < SETTLE_STEPS_MAX, 'something waits for ever');
      this.#random = Random.forStep(this.#seed, -1 - steps);
      if (!this.#deliver(this.#random)) {
        this.#clock.advance(10);
        this.#kernel.because({ kind: 'tick' }, (core) => core.tick());
      }
      this.#check();
    }
  }

  #clearOut(): void {
    for (const handle of this.#kernel.handles()) this.#kernel.release(handle);
    this.#settle();
    this.#kernel.forgetAll();
    this.#check();
    const { inodes, handles, requests, jobs } = this.#core.counts();
    assert.deepEqual(
      { inodes, handles, requests, jobs },
      { inodes: 1, handles: 0, requests: 0, jobs: 0 },
      'something is left when everything was given back',
    );
    assert.equal(this.#backings.openCount, 0, 'a copy is left open');
  }

  /**
   * Walks to every file and reads it. Where old news may still be believed a file may be missing or
   * found stale once; found stale and opened again it must be the new one.
   */
  #readEverything(isStrict: boolean): void {
    for (const path of this.#world.files()) {
      this.#note(`read the whole of ${path}`);
      const isRead = this.#readWhole(path);
      if (isRead !== false) assert.ok(isRead !== undefined || !isStrict, `${path} is not found`);
      else {
        assert.ok(!isStrict, `${path} is stale`);
        assert.notEqual(this.#readWhole(path), false, `${path} is stale again`);
      }
    }
  }

  /** Undefined: it cannot be found; false: it is stale. */
  #readWhole(path: ByteString): boolean | undefined {
    const kernel = this.#kernel;
    let known = kernel.root;
    for (const name of path.slice(1).split('/') as ByteString[]) {
      kernel.lookup(known, name);
      this.#settle();
      const child = kernel.find(joinPath(known.path, name));
      if (child === undefined) return undefined;
      known = child;
    }
    if (known.kind !== 'file') return undefined;
    const before = new Set(kernel.handles());
    if (this.#options.isImmutable) kernel.openUntold(known);
    else kernel.open(known, false);
    this.#settle();
    const handle = kernel.handles().find((other) => !before.has(other));
    if (handle?.kind !== 'file') return kernel.lastError === 'stale' ? false : undefined;
    const state = this.#world.now(path) as State;
    if (handle.backingId !== undefined) {
      kernel.release(handle);
      return handle.versions.has(state) ? true : undefined;
    }
    for (let at = 0; at < state.lengthBytes; at += PAGE_BYTES * 2) {
      const wanted = Math.min(PAGE_BYTES * 2, state.lengthBytes - at);
      const bytesBefore = kernel.dataBytes;
      kernel.lastError = undefined;
      kernel.read(handle, at, PAGE_BYTES * 2);
      this.#settle();
      if (kernel.dataBytes - bytesBefore === wanted) continue;
      kernel.release(handle);
      // An older version, cached, may be believed as long as the attributes are.
      return kernel.lastError === 'stale' ? false : undefined;
    }
    const isCurrent = handle.versions.has(state);
    kernel.release(handle);
    return isCurrent ? true : undefined;
  }
}
