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
import { ManualClock } from '../base/clock.ts';
import { Random } from '../base/random.ts';
import type { CallContext } from '../cluster/index.ts';
import { ClusterError } from '../cluster/index.ts';
import type { ClusterStore } from './store.ts';
import { Life, MemoryCluster, openInMemory } from './testing/memory-cluster.ts';
import { drawOperation, expected } from './testing/model.ts';
import type { Model, ModelNode, Operation } from './testing/model.ts';
import type { KeptFile, NodeStatus, UploadSegment } from './types.ts';

const text = byteStringOfText;
/** What hangs is found out; a machine that is busy with other tests is not. */
const TIMEOUT_MS = 60_000;
const ATTRIBUTES_TTL_MS = 1000;

class World {
  readonly cluster = new MemoryCluster();
  readonly journal = { bytes: Buffer.alloc(0) };
  /** Ages what is known of attributes; not the machine's, so that a seed says it all. */
  readonly clock = new ManualClock();
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
    this.store = await openInMemory({
      cluster: this.cluster,
      life: this.life,
      directory: this.#directory,
      journal: this.journal,
      isAtomic: this.#isAtomic,
      writeMode: this.#writeMode,
      attributesTtlMs: ATTRIBUTES_TTL_MS,
      clock: this.clock,
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
        await this.#readKept(kept, model.get(operation.path), context);
        return undefined;
      }
      case 'rmdir':
        await store.removeDirectory(operation.path, context);
        return undefined;
      case 'rename': {
        const { from, to, isExclusive, keepsTarget } = operation;
        const options = { isExclusive, watched: [text('')], keepsTarget };
        const { statuses, kept } = await store.rename(from, to, options, context);
        assert.ok(statuses[0], 'the renamed file is at its target');
        const mustKeep = keepsTarget && from !== to && model.get(to)?.kind === 'file';
        assert.equal(kept !== undefined, mustKeep, 'a replaced file is kept where it must be');
        await this.#readKept(kept, model.get(to), context);
        return undefined;
      }
      default:
        await store.sync(operation.path, context);
        return undefined;
    }
  }

  /** A file without a name has its bytes as long as somebody has it open. */
  async #readKept(
    kept: KeptFile | undefined,
    node: ModelNode | undefined,
    context: CallContext,
  ): Promise<void> {
    if (kept === undefined) return;
    const bytes = await this.#bytesOf(kept.path, kept.version);
    assert.equal(bytes, node?.bytes, 'a kept file has its bytes');
    if (this.#random.chance(0.5)) await this.store.removeKept(kept.path, context);
    else this.kept.push(kept.path);
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
    world.clock.advance(random.below(333));
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
