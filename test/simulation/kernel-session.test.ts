// The kernel session and the core behind it under a hundred thousand messages, most of them damaged:
// nothing is thrown, every request is answered once at the most, and what is well-formed is.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../../src/base/clock.ts';
import { Random } from '../../src/base/random.ts';
import { MemoryTier, NO_STAGING, Slab } from '../../src/cache/index.ts';
import type { MountConfig } from '../../src/config/index.ts';
import { KernelSession } from '../../src/daemon/kernel-session.ts';
import type { FuseChannel } from '../../src/fuse/device/index.ts';
import { opcodeWantsReply } from '../../src/fuse/wire/index.ts';
import { sampleRequests } from '../../src/fuse/wire/sample-requests.ts';
import { Core, Counters } from '../../src/vfs/index.ts';
import { FakeCluster } from './fake-cluster.ts';
import { isListable, World } from './world.ts';

const MESSAGES = 100_000;
const seed = Number(process.env['FUZZ_SEED'] ?? 1);
const NOT_FOR_THE_WIRE = new Set(['INIT', 'DESTROY']);

class Channel {
  readonly answered = new Map<number, number>();

  write(message: Buffer, length: number): boolean {
    return this.#take(message.subarray(0, length));
  }

  writev(parts: readonly Uint8Array[]): boolean {
    return this.#take(Buffer.concat(parts));
  }

  #take(message: Buffer): boolean {
    assert.equal(message.readUInt32LE(0), message.length, 'the header tells another length');
    const error = message.readInt32LE(4);
    assert.ok(error <= 0 && error > -512, `the kernel refuses the errno ${error}`);
    if (error !== 0) assert.equal(message.length, 16, 'an error with a body');
    const unique = Number(message.readBigUInt64LE(8) & ((1n << 63n) - 1n));
    this.answered.set(unique, (this.answered.get(unique) ?? 0) + 1);
    return true;
  }
}

const CONFIG = { uid: 0, gid: 0, fileMode: 0o644, dirMode: 0o755, maxBackground: 64 };

function setUp(random: Random) {
  const clock = new ManualClock();
  const world = new World(clock, random);
  const slab = new Slab({ slotBytes: 64, slotCount: 100 });
  const cluster = new FakeCluster(clock, world, slab, 256);
  const counters = new Counters();
  const channel = new Channel();
  const internal: unknown[] = [];
  const session = new KernelSession({
    channel: channel as unknown as FuseChannel,
    config: CONFIG as MountConfig,
    counters,
    clock,
    onNegotiated: () => {},
    onInternalError: (error) => internal.push(error),
  });
  const core = new Core({
    options: {
      incarnation: 1,
      isReadOnly: true,
      isImmutable: false,
      isWriteBack: false,
      defaults: { uid: 0, gid: 0, fileMode: 0o644, dirMode: 0o755 },
      attrTimeoutMs: 50,
      entryTimeoutMs: 50,
      negativeTimeoutMs: 50,
      requestTimeoutMs: 1000,
      readAheadBytes: 8 * 1024 * 1024,
      handlesMax: 200,
      passthroughBytesMin: 0,
      inodesMax: 100,
      listingEntriesMax: 100,
      pathBytesMax: 4000,
      provesAbsence: isListable,
    },
    clock,
    wallMs: 0,
    counters,
    tier: new MemoryTier(slab, 256),
    staging: NO_STAGING,
    replies: session,
    effects: {
      submit: (job) => cluster.submit(job, random),
      invalidateInode: () => {},
      invalidateEntry: () => {},
      report: () => {},
    },
  });
  session.attach(core);
  return { clock, cluster, counters, channel, internal, session, core };
}

/** A message whose numbers are such that much of it leads somewhere. */
function makeMessage(random: Random, unique: number): { bytes: Buffer; isDamaged: boolean } {
  const samples = sampleRequests.filter(({ name }) => !NOT_FOR_THE_WIRE.has(name));
  const busy = ['LOOKUP', 'OPEN', 'READ', 'OPENDIR', 'READDIR', 'READDIRPLUS', 'GETATTR', 'FORGET'];
  const isBusy = random.chance(0.8);
  const some = samples.filter(({ name }) => !isBusy || busy.includes(name));
  const sample = random.pick(some);
  let bytes = Buffer.from(sample.bytes);
  const base = 2 ** 32;
  if (sample.name === 'LOOKUP') {
    const name = random.pick(['a', 'b', 'c', 'q?', 'big', 'n1', '.', '..']);
    bytes = Buffer.concat([bytes.subarray(0, 40), Buffer.from(`${name}\0`)]);
  }
  bytes.writeUInt32LE(bytes.length, 0);
  bytes.writeBigUInt64LE(BigInt(unique), 8);
  const node = random.chance(0.4) ? 1 : base + random.below(40);
  bytes.writeBigUInt64LE(BigInt(node), 16);
  if (sample.name === 'FORGET') bytes.writeBigUInt64LE(BigInt(random.below(3)), 40);
  if (/READ|RELEASE|LSEEK/.test(sample.name) && bytes.length >= 64) {
    bytes.writeBigUInt64LE(BigInt(base + random.below(60)), 40);
    bytes.writeBigUInt64LE(BigInt(random.below(2000)), 48);
    if (sample.name.startsWith('READ')) bytes.writeUInt32LE(random.below(4096), 56);
  }
  if (sample.name === 'INTERRUPT')
    bytes.writeBigUInt64LE(BigInt(unique - 2 * random.below(40)), 40);
  const isDamaged = random.chance(0.3);
  for (let changes = isDamaged ? random.between(1, 3) : 0; changes > 0; changes--) {
    const kind = random.below(4);
    const at = random.below(bytes.length);
    // The number that the kernel keeps a request under is its own affair.
    if (kind === 0 && (at < 8 || at >= 16)) bytes[at] = random.below(256);
    else if (kind === 1) bytes = bytes.subarray(0, Math.max(at, 16));
    else if (kind === 2) bytes = Buffer.concat([bytes, Buffer.alloc(random.below(30), at)]);
    else if (bytes.length >= 44) bytes.writeUInt32LE(random.below(0xffffffff), bytes.length - 4);
  }
  if (random.chance(0.8)) bytes.writeUInt32LE(bytes.length, 0);
  return { bytes, isDamaged };
}

test(`${MESSAGES} messages are answered once at the most (FUZZ_SEED=${seed})`, () => {
  const random = new Random(seed);
  const { clock, cluster, counters, channel, internal, session, core } = setUp(random);
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  const buffer = Buffer.alloc(8192);
  const owed = new Set<number>();
  try {
    for (let count = 0; count < MESSAGES; count++) {
      const unique = 2 + count * 2;
      const { bytes, isDamaged } = makeMessage(random, unique);
      bytes.copy(buffer);
      if (!isDamaged && opcodeWantsReply(bytes.readUInt32LE(4))) owed.add(unique);
      session.handle(buffer, bytes.length);
      const delivery = random.chance(0.7) ? cluster.step(random) : undefined;
      if (delivery !== undefined) core.deliver(delivery.result);
      if (random.chance(0.05)) {
        clock.advance(random.below(60));
        core.tick();
      }
      if (count % 100 === 0) core.checkInvariants();
    }
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
  core.shutdown();
  assert.equal(counters.get('internalErrors'), internal.length);
  for (const [unique, times] of channel.answered)
    assert.equal(times, 1, `${unique}: ${times} answers`);
  const unanswered = [...owed].filter((unique) => !channel.answered.has(unique));
  assert.deepEqual(unanswered, []);
  assert.equal(core.counts().requests, 0);
  assert.ok(channel.answered.size > MESSAGES / 3, `only ${channel.answered.size} answers`);
  const mistakes = internal.filter((error) => (error as Error).name !== 'WireError');
  assert.deepEqual(mistakes.slice(0, 3), [], 'mistakes of ours');
});
