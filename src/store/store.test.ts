/**
 * Random operations against a plain model, over a cluster in memory that fails and a mount that dies at
 * random steps. Whatever happens: an operation took place as a whole or not at all, what was acknowledged
 * is there, and nothing of ours is left in the cluster.
 */
import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { ByteString } from '../base/byte-string.ts';
import { byteStringOfText, joinPath } from '../base/byte-string.ts';
import { systemClock } from '../base/clock.ts';
import { silentLogger } from '../base/logger.ts';
import { Random } from '../base/random.ts';
import type { CallContext } from '../cluster/index.ts';
import { ClusterError } from '../cluster/index.ts';
import { openStore } from './open.ts';
import { isBelow, isWithin, movedPath } from './paths.ts';
import type { ClusterStore } from './store.ts';
import {
  Life,
  MemoryCluster,
  MemoryJournalDisk,
  MemoryReader,
  MemoryWriter,
} from './testing/memory-cluster.ts';
import type { NodeStatus, UploadSegment } from './types.ts';

const text = byteStringOfText;
const TIMEOUT_MS = 10_000;

interface ModelNode {
  readonly kind: 'file' | 'directory' | 'symlink';
  readonly bytes?: string;
  readonly target?: string;
  readonly mode?: number;
  readonly xattr?: string;
  /** As programs see it; undefined: not known. */
  readonly mtimeMs?: number;
}

type Model = ReadonlyMap<ByteString, ModelNode>;

type Operation =
  | { readonly kind: 'mkdir'; readonly path: ByteString; readonly mode: number | undefined }
  | { readonly kind: 'symlink'; readonly path: ByteString; readonly target: string }
  | {
      readonly kind: 'write';
      readonly path: ByteString;
      readonly bytes: Buffer;
      readonly keepBytes: number;
      readonly mode: number | undefined;
      readonly isHandedOver: boolean;
    }
  | { readonly kind: 'chmod'; readonly path: ByteString; readonly mode: number }
  | { readonly kind: 'utimes'; readonly path: ByteString; readonly mtimeMs: number }
  | { readonly kind: 'xattr'; readonly path: ByteString; readonly value: string | undefined }
  | { readonly kind: 'unlink'; readonly path: ByteString; readonly mustKeep: boolean }
  | { readonly kind: 'rmdir'; readonly path: ByteString }
  | {
      readonly kind: 'rename';
      readonly from: ByteString;
      readonly to: ByteString;
      readonly isExclusive: boolean;
    }
  | { readonly kind: 'sync'; readonly path: ByteString };

const hasChildren = (model: Model, path: ByteString): boolean =>
  [...model.keys()].some((other) => isBelow(other, path));

/** The model after the operation, or the code that it fails with. */
function expected(model: Model, operation: Operation): Model | string {
  const next = new Map(model);
  switch (operation.kind) {
    case 'mkdir':
    case 'symlink': {
      if (model.has(operation.path)) return 'exists';
      const node: ModelNode =
        operation.kind === 'symlink'
          ? { kind: 'symlink', target: operation.target }
          : {
              kind: 'directory',
              ...(operation.mode === undefined ? {} : { mode: operation.mode }),
            };
      return next.set(operation.path, node);
    }
    case 'write': {
      const old = model.get(operation.path);
      const head = (old?.bytes ?? '').slice(0, operation.keepBytes);
      const bytes = head + operation.bytes.toString('latin1').slice(head.length);
      const { mtimeMs: _, target: __, ...rest } = old ?? {};
      const mode = operation.mode === undefined ? {} : { mode: operation.mode };
      return next.set(operation.path, { ...rest, ...mode, kind: 'file', bytes });
    }
    case 'chmod':
    case 'utimes':
    case 'xattr': {
      const old = model.get(operation.path);
      if (old === undefined) return 'not-found';
      if (operation.kind === 'chmod')
        return next.set(operation.path, { ...old, mode: operation.mode });
      if (operation.kind === 'utimes') {
        return next.set(operation.path, { ...old, mtimeMs: operation.mtimeMs });
      }
      const { xattr: _, ...rest } = old;
      const { value } = operation;
      return next.set(operation.path, value === undefined ? rest : { ...rest, xattr: value });
    }
    case 'unlink': {
      const old = model.get(operation.path);
      if (old === undefined) return 'not-found';
      if (old.kind === 'directory') return 'is-a-directory';
      next.delete(operation.path);
      return next;
    }
    case 'rmdir': {
      const old = model.get(operation.path);
      if (old === undefined) return 'not-found';
      if (old.kind !== 'directory') return 'not-a-directory';
      if (hasChildren(model, operation.path)) return 'not-empty';
      next.delete(operation.path);
      return next;
    }
    case 'rename': {
      const { from, to, isExclusive } = operation;
      if (isBelow(to, from)) return 'invalid';
      const source = model.get(from);
      const target = model.get(to);
      if (source === undefined) return 'not-found';
      if (target !== undefined && isExclusive) return 'exists';
      if (from === to) return model;
      if (target !== undefined) {
        if (target.kind === 'directory' && source.kind !== 'directory') return 'is-a-directory';
        if (target.kind !== 'directory' && source.kind === 'directory') return 'not-a-directory';
        if (hasChildren(model, to)) return 'not-empty';
      }
      next.delete(to);
      for (const [path, node] of model) {
        if (!isWithin(path, from)) continue;
        next.delete(path);
        next.set(movedPath(path, from, to), node);
      }
      return next;
    }
    default:
      return model;
  }
}

/** A small world: names collide. */
function drawPath(random: Random, model: Model): ByteString {
  const directories = [...model]
    .filter(([path, { kind }]) => kind === 'directory' && path.split('/').length < 4)
    .map(([path]) => path);
  const parent =
    random.chance(0.15) || directories.length === 0 ? text('/') : random.pick(directories);
  return joinPath(parent, text(random.pick(['a', 'b', 'c', 'ä'])));
}

function drawOperation(random: Random, model: Model): Operation {
  const path = drawPath(random, model);
  const there = [...model.keys()];
  const existing = there.length > 0 && random.chance(0.8) ? random.pick(there) : path;
  const kind = random.pick([
    'mkdir',
    'mkdir',
    'symlink',
    'write',
    'write',
    'write',
    'write',
    'chmod',
    'utimes',
    'xattr',
    'unlink',
    'rmdir',
    'rename',
    'rename',
    'rename',
    'sync',
  ] as const);
  const mode = random.pick([undefined, 0o600, 0o755]);
  switch (kind) {
    case 'mkdir':
      return { kind, path, mode };
    case 'symlink':
      return { kind, path, target: `to-${random.below(100)}` };
    case 'write': {
      const bytes = Buffer.alloc(random.below(3000), `${random.below(1_000_000)};`);
      const keepBytes = random.chance(0.4) ? random.below(2000) : 0;
      const isHandedOver = random.chance(0.7);
      const node = model.get(path);
      // Programs reach a file only through what is a file.
      if (node !== undefined && node.kind !== 'file') return { kind: 'chmod', path, mode: 0o700 };
      return { kind, path, bytes, keepBytes, mode, isHandedOver };
    }
    case 'chmod':
      return { kind, path: existing, mode: 0o100 + random.below(0o600) };
    case 'utimes':
      return { kind, path: existing, mtimeMs: random.below(1_000_000_000) };
    case 'xattr':
      return { kind, path: existing, value: random.pick([undefined, 'one', 'two']) };
    case 'unlink':
      return { kind, path: existing, mustKeep: random.chance(0.3) };
    case 'rmdir':
      return { kind, path: existing };
    case 'rename':
      return {
        kind,
        from: existing,
        to: random.chance(0.3) ? random.pick([...there, path]) : path,
        isExclusive: random.chance(0.1),
      };
    default:
      return { kind, path: model.get(existing)?.kind === 'directory' ? existing : text('/') };
  }
}

class World {
  readonly cluster = new MemoryCluster();
  readonly journal = { bytes: Buffer.alloc(0) };
  readonly #directory: string;
  readonly #random: Random;
  readonly #writeMode: 'through' | 'back';
  readonly #isAtomic: boolean;
  #uploads = 0;
  life: Life;
  store!: ClusterStore;
  kept: ByteString[] = [];

  constructor(directory: string, random: Random, writeMode: 'through' | 'back', isAtomic: boolean) {
    this.#directory = directory;
    this.#random = random;
    this.#writeMode = writeMode;
    this.#isAtomic = isAtomic;
    this.life = new Life(random);
  }

  context(): CallContext {
    return { signal: new AbortController().signal, deadlineMs: performance.now() + TIMEOUT_MS };
  }

  async begin(): Promise<void> {
    this.life = new Life(new Random(this.#random.below(2 ** 31)));
    this.kept = [];
    this.store = await openStore({
      reader: new MemoryReader(this.cluster, this.life),
      writer: new MemoryWriter(this.cluster, this.life, this.#isAtomic),
      stateDirectory: this.#directory,
      stagingDirectory: this.#directory,
      journalDisk: new MemoryJournalDisk(this.journal, this.life),
      writeMode: this.#writeMode,
      attributesTtlMs: 1000,
      clock: systemClock,
      logger: silentLogger,
      tuning: {
        attributesDelayMs: this.#random.pick([0, 1, 1000]),
        retryFirstMs: 1,
        retryMaxMs: 5,
      },
    });
  }

  async run(operation: Operation, model: Model): Promise<NodeStatus | undefined> {
    const { store } = this;
    const context = this.context();
    switch (operation.kind) {
      case 'mkdir': {
        const attributes = operation.mode === undefined ? {} : { mode: operation.mode };
        return store.makeDirectory(operation.path, attributes, context);
      }
      case 'symlink':
        return store.makeNode(
          operation.path,
          'symlink',
          { target: text(operation.target) },
          context,
        );
      case 'write':
        return this.#write(operation, model, context);
      case 'chmod':
        return store.setAttributes(operation.path, { mode: operation.mode }, context);
      case 'utimes':
        return store.setAttributes(operation.path, { mtimeMs: operation.mtimeMs }, context);
      case 'xattr': {
        const { value } = operation;
        const bytes = value === undefined ? undefined : Buffer.from(value);
        const xattrs = new Map([[text('user.x'), bytes]]);
        return store.setAttributes(operation.path, { xattrs }, context);
      }
      case 'unlink': {
        const { kept } = await store.removeFile(operation.path, operation.mustKeep, context);
        if (kept === undefined) return undefined;
        const bytes = await this.#bytesOf(kept.path, kept.version);
        assert.equal(bytes, model.get(operation.path)?.bytes, 'a kept file has its bytes');
        if (this.#random.chance(0.5)) await store.removeKept(kept.path, context);
        else this.kept.push(kept.path);
        return undefined;
      }
      case 'rmdir':
        await store.removeDirectory(operation.path, context);
        return undefined;
      case 'rename': {
        const options = { isExclusive: operation.isExclusive, watched: [text('')] };
        const [status] = await store.rename(operation.from, operation.to, options, context);
        assert.ok(status, 'the renamed file is at its target');
        return undefined;
      }
      default:
        await store.sync(operation.path, context);
        return undefined;
    }
  }

  async #write(
    operation: Operation & { readonly kind: 'write' },
    model: Model,
    context: CallContext,
  ): Promise<NodeStatus> {
    const { path, mode, isHandedOver } = operation;
    const old = model.get(path);
    const keep = Math.min(operation.keepBytes, old?.bytes?.length ?? 0);
    const written = expected(model, operation) as Model;
    const whole = Buffer.from(written.get(path)?.bytes ?? '', 'latin1');
    const stagingName = `staging-${this.#uploads++}`;
    const staged = Buffer.from(whole);
    // What is not written is not in the staging file.
    staged.fill(0, 0, keep);
    await writeFile(join(this.#directory, stagingName), staged);
    const segments: UploadSegment[] = [
      { from: 'base', lengthBytes: keep },
      { from: 'staging', lengthBytes: whole.length - keep },
    ];
    const base =
      old === undefined ? undefined : { path, version: await this.store.stat(path, context) };
    const status = await this.store.upload(
      {
        path,
        stagingName,
        segments: segments.filter(({ lengthBytes }) => lengthBytes > 0),
        base,
        attributes: mode === undefined ? {} : { mode },
        isHandedOver,
      },
      context,
    );
    if (!isHandedOver) await rm(join(this.#directory, stagingName));
    return status;
  }

  async #bytesOf(
    path: ByteString,
    version: { lengthBytes: number; mtimeMs: number; contentHash?: string },
  ): Promise<string> {
    const bytes = Buffer.alloc(version.lengthBytes);
    const { lengthBytes } = version;
    await this.store.read(
      { path, offset: 0, lengthBytes, version },
      (chunk, at) => bytes.set(chunk, at),
      this.context(),
    );
    return bytes.toString('latin1');
  }

  /** Everything that programs can see. */
  async look(): Promise<Map<ByteString, ModelNode>> {
    const seen = new Map<ByteString, ModelNode>();
    const visit = async (directory: ByteString): Promise<void> => {
      const children: ByteString[] = [];
      for await (const batch of this.store.list(directory, this.context())) {
        for (const status of batch) {
          const path = joinPath(directory, status.name);
          assert.ok(!seen.has(path), `${path} is listed once`);
          const told = await this.store.stat(path, this.context());
          assert.deepEqual(told, status, `${path}: listed as its status tells`);
          const { mode, target, xattrs, mtimeMs } = status.posix;
          const xattr = xattrs?.get(text('user.x'));
          seen.set(path, {
            kind: status.kind as ModelNode['kind'],
            ...(status.kind === 'file' ? { bytes: await this.#bytesOf(path, status) } : {}),
            ...(target === undefined ? {} : { target }),
            ...(mode === undefined ? {} : { mode }),
            ...(xattr === undefined ? {} : { xattr: Buffer.from(xattr).toString() }),
            mtimeMs: mtimeMs ?? status.mtimeMs,
          });
          if (status.kind === 'directory') children.push(path);
        }
      }
      for (const child of children) await visit(child);
    };
    await visit(text('/'));
    return seen;
  }

  /** Names that the cluster has and nobody should see: of ours, and only for the time being. */
  leftovers(): string[] {
    return [...this.cluster.files.keys()].filter(
      (path) => path.includes('.alluxio-fuse-uploads/') || path.includes('/kept/'),
    );
  }
}

function difference(model: Model, seen: Model): string | undefined {
  for (const [path, node] of model) {
    const there = seen.get(path);
    if (there === undefined) return `${path} is missing`;
    const { mtimeMs, ...rest } = node;
    const { mtimeMs: seenMs, ...seenRest } = there;
    try {
      assert.deepEqual(seenRest, rest);
    } catch {
      const brief = (shown: object): string =>
        JSON.stringify(shown, (key, value: unknown) =>
          key === 'bytes' ? `${String(value).length}: ${String(value).slice(-40)}` : value,
        );
      return `${path}: ${brief(seenRest)} instead of ${brief(rest)}`;
    }
    if (node.kind === 'file' && mtimeMs !== undefined && mtimeMs !== seenMs) {
      return `${path}: mtime ${seenMs} instead of ${mtimeMs}`;
    }
  }
  for (const path of seen.keys()) if (!model.has(path)) return `${path} should not be there`;
  return undefined;
}

/** The times that programs see now are those that they must see from now on. */
function withTimes(model: Model, seen: Model): Model {
  const known = new Map<ByteString, ModelNode>();
  for (const [path, node] of model) {
    const mtimeMs = seen.get(path)?.mtimeMs;
    known.set(path, mtimeMs === undefined ? node : { ...node, mtimeMs });
  }
  return known;
}

async function until(what: string, check: () => Promise<string | undefined>): Promise<void> {
  const deadline = performance.now() + TIMEOUT_MS;
  for (;;) {
    const wrong = await check();
    if (wrong === undefined) return;
    assert.ok(performance.now() < deadline, `${what}: ${wrong}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

const codeOf = (error: unknown): string =>
  error instanceof ClusterError ? error.code : String(error);

interface Plan {
  readonly seed: number;
  readonly operations: number;
  readonly writeMode: 'through' | 'back';
  readonly isAtomic: boolean;
  readonly faultRate: number;
  readonly crashes: boolean;
}

async function simulate(plan: Plan, directory: string): Promise<void> {
  const random = new Random(plan.seed);
  const world = new World(directory, random, plan.writeMode, plan.isAtomic);
  await world.begin();
  let model: Model = new Map();
  for (let index = 0; index < plan.operations; index++) {
    const operation = drawOperation(random, model);
    const label = `operation ${index}: ${JSON.stringify({ ...operation, bytes: undefined })}`;
    const next = expected(model, operation);
    world.life.faultRate = random.chance(0.5) ? plan.faultRate : 0;
    if (plan.crashes && random.chance(0.25)) {
      world.life.diesAt = world.life.steps + 1 + random.below(25);
    }
    const running = world.run(operation, model).then(
      () => undefined,
      (error: unknown) => {
        if (error instanceof assert.AssertionError) throw error;
        return codeOf(error);
      },
    );
    running.catch(() => undefined);
    // Dead lives do not answer.
    const result = await Promise.race(
      world.life.diesAt === Infinity ? [running] : [running, world.life.death.then(() => 'died')],
    );
    const { isDead } = world.life;
    const hadFaults = world.life.faultRate > 0;
    world.life.faultRate = 0;
    world.life.diesAt = Infinity;
    const failure = result === 'died' ? undefined : result;
    const isCertain = result !== 'died' && (failure === undefined || !hadFaults);
    if (isCertain) {
      assert.equal(failure, typeof next === 'string' ? next : undefined, label);
      if (typeof next !== 'string') model = next;
    }
    if (isDead) await world.begin();
    if (isCertain && !isDead) {
      const seen = await world.look();
      assert.equal(difference(model, seen), undefined, label);
      model = withTimes(model, seen);
      continue;
    }
    // As a whole, or not at all; perhaps after a repair.
    await until(label, async () => {
      if (world.store.repairsPending > 0) return 'repairs go on';
      let seen: Model;
      try {
        seen = await world.look();
      } catch (error) {
        return `cannot look: ${String(error)}`;
      }
      const notBefore = difference(model, seen);
      if (notBefore === undefined) {
        model = withTimes(model, seen);
        return undefined;
      }
      if (isCertain || typeof next === 'string') return notBefore;
      if (operation.kind === 'write' && operation.mode !== undefined) {
        // The mode of an upload that failed may stay; a file's old bytes under it are no mixture.
        const old = model.get(operation.path);
        const between = new Map(model);
        if (old !== undefined) between.set(operation.path, { ...old, mode: operation.mode });
        if (difference(between, seen) === undefined) {
          model = withTimes(between, seen);
          return undefined;
        }
      }
      const notAfter = difference(next, seen);
      if (notAfter !== undefined)
        return `${failure}: not as before: ${notBefore}; not as after: ${notAfter}`;
      model = withTimes(next, seen);
      return undefined;
    });
  }
  for (const path of world.kept) await world.store.removeKept(path, world.context());
  await world.store.close(world.context());
  assert.equal(world.store.backlog().attributesPending, 0);
  // A new life finds everything in the cluster, and nothing else.
  await world.begin();
  const seen = await world.look();
  assert.equal(difference(model, seen), undefined, 'after a clean restart');
  await until('leftovers', () => Promise.resolve(world.leftovers().join(' ') || undefined));
  await world.store.close(world.context());
  // Those of a life that died, and of uploads that failed before they were handed over, are not the store's.
  if (plan.crashes || plan.faultRate > 0) return;
  const files = await readdir(directory);
  assert.deepEqual(
    files.filter((name) => name.startsWith('staging-')),
    [],
  );
}

describe('the store does what the model does', () => {
  let directory = '';
  // The store's own timers keep no process alive.
  const alive = setInterval(() => undefined, 1000);
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'alluxio-fuse-store-'));
  });
  after(async () => {
    clearInterval(alive);
    await rm(directory, { recursive: true, force: true });
  });

  const seeds = (process.env['STORE_SEEDS'] ?? '')
    .split(',')
    .filter((seed) => seed !== '')
    .map(Number);
  for (const writeMode of ['through', 'back'] as const) {
    for (const isAtomic of [false, true]) {
      for (const [name, faultRate, crashes] of [
        ['a good cluster', 0, false],
        ['failing calls', 0.08, false],
        ['a mount that dies', 0, true],
        ['both', 0.05, true],
      ] as const) {
        it(`with ${name}, write mode ${writeMode}, ${isAtomic ? 'atomic' : 'copied'} renames`, async () => {
          for (const seed of seeds.length > 0 ? seeds : [1, 2, 3, 4, 5, 6]) {
            const place = await mkdtemp(join(directory, 'mount-'));
            const plan: Plan = { seed, operations: 120, writeMode, isAtomic, faultRate, crashes };
            try {
              await simulate(plan, place);
            } catch (error) {
              throw new Error(`Seed ${seed} (STORE_SEEDS=${seed}): ${String(error)}`, {
                cause: error,
              });
            }
          }
        });
      }
    }
  }
});
