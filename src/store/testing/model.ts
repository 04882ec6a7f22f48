/** What the store must do, as a plain model of a tree, and operations drawn from a small world of names. */
import type { ByteString } from '../../base/byte-string.ts';
import { byteStringOfText as text, isBelow, isWithin, joinPath } from '../../base/byte-string.ts';
import type { Random } from '../../base/random.ts';
import { movedPath } from '../paths.ts';

export interface ModelNode {
  readonly kind: 'file' | 'directory' | 'symlink';
  readonly bytes?: string;
  readonly target?: string;
  readonly mode?: number;
  readonly xattr?: string;
  /** As programs see it; undefined: not known. */
  readonly mtimeMs?: number;
}

export type Model = ReadonlyMap<ByteString, ModelNode>;

export type Operation =
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
      readonly keepsTarget: boolean;
    }
  | { readonly kind: 'sync'; readonly path: ByteString };

const hasChildren = (model: Model, path: ByteString): boolean =>
  [...model.keys()].some((other) => isBelow(other, path));

/** The model after the operation, or the code that it fails with. */
export function expected(model: Model, operation: Operation): Model | string {
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

export function drawOperation(random: Random, model: Model): Operation {
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
        keepsTarget: random.chance(0.4),
      };
    default:
      return { kind, path: model.get(existing)?.kind === 'directory' ? existing : text('/') };
  }
}
