/**
 * The core's answers as promises, for the driver that is asked through callbacks. What waits on a
 * promise runs after the core has returned: the core is never called from inside itself.
 */
import type { ByteString } from '../base/byte-string.ts';
import { NativeErrno } from '../fuse/native/index.ts';
import type {
  Attributes,
  CoreReplies,
  EntrySink,
  FileKind,
  FsErrorCode,
  HandleId,
  RequestId,
} from '../vfs/index.ts';
import { errnoOf } from './errno-table.ts';

export class RequestFailed extends NativeErrno {
  override name = 'RequestFailed';
  readonly code: FsErrorCode;

  constructor(code: FsErrorCode) {
    super(errnoOf(code), code);
    this.code = code;
  }
}

export interface ListedEntry {
  readonly name: ByteString;
  readonly kind: FileKind;
  readonly nextOffset: number;
}

export type Answer =
  | {
      readonly kind: 'entry';
      readonly attributes: Attributes;
      readonly attrTtlMs: number;
      readonly entryTtlMs: number;
    }
  | { readonly kind: 'attributes'; readonly attributes: Attributes }
  | { readonly kind: 'opened'; readonly handle: HandleId }
  | { readonly kind: 'created'; readonly attributes: Attributes; readonly handle: HandleId }
  | { readonly kind: 'data'; readonly lengthBytes: number }
  | { readonly kind: 'entries'; readonly entries: readonly ListedEntry[] }
  | { readonly kind: 'value'; readonly value: Uint8Array }
  | { readonly kind: 'ok' };

type AnswerOf<Kind extends Answer['kind']> = Extract<Answer, { readonly kind: Kind }>;

interface Waiting {
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: Error) => void;
  /** Where a read's bytes go: they are only there while the core answers. */
  readonly into: Uint8Array | undefined;
}

export class NativeReplies implements CoreReplies {
  readonly #onInternalError: (error: Error) => void;
  readonly #waiting = new Map<RequestId, Waiting>();
  #lastId = 0;

  constructor(onInternalError: (error: Error) => void) {
    this.#onInternalError = onInternalError;
  }

  get count(): number {
    return this.#waiting.size;
  }

  /** Rejects with `RequestFailed`. Bounded by the kernel, which waits for every answer. */
  async ask<Kind extends Answer['kind']>(
    kind: Kind,
    start: (id: RequestId) => void,
    into?: Uint8Array,
  ): Promise<AnswerOf<Kind>> {
    const id = ++this.#lastId as RequestId;
    const answer = await new Promise<Answer>((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject, into });
      try {
        start(id);
      } catch (error) {
        this.#waiting.delete(id);
        reject(error);
      }
    });
    if (answer.kind !== kind) throw new Error(`Asked for "${kind}", answered "${answer.kind}"`);
    return answer as AnswerOf<Kind>;
  }

  error(request: RequestId, code: FsErrorCode): void {
    this.#take(request)?.reject(new RequestFailed(code));
  }

  entry(request: RequestId, attributes: Attributes, attrTtlMs: number, entryTtlMs: number): void {
    this.#answer(request, { kind: 'entry', attributes, attrTtlMs, entryTtlMs });
  }

  /** libfuse has one timeout for absent names; the core remembers them for as long as it says. */
  negativeEntry(request: RequestId): void {
    this.error(request, 'not-found');
  }

  attributes(request: RequestId, attributes: Attributes): void {
    this.#answer(request, { kind: 'attributes', attributes });
  }

  opened(request: RequestId, handle: HandleId): void {
    this.#answer(request, { kind: 'opened', handle });
  }

  created(
    request: RequestId,
    attributes: Attributes,
    _ttls: { readonly attrMs: number; readonly entryMs: number },
    handle: HandleId,
  ): void {
    this.#answer(request, { kind: 'created', attributes, handle });
  }

  written(request: RequestId): void {
    this.#answer(request, { kind: 'ok' });
  }

  openedDirectory(request: RequestId, handle: HandleId): void {
    this.#answer(request, { kind: 'opened', handle });
  }

  data(request: RequestId, segments: readonly Uint8Array[], lengthBytes: number): void {
    const waiting = this.#take(request);
    if (waiting === undefined) return;
    const { into } = waiting;
    if (into === undefined) {
      waiting.resolve({ kind: 'value', value: Buffer.concat(segments) });
      return;
    }
    if (lengthBytes > into.length) {
      waiting.reject(new Error(`${lengthBytes} bytes came, more than were asked for`));
      return;
    }
    let offset = 0;
    for (const segment of segments) {
      into.set(segment, offset);
      offset += segment.length;
    }
    waiting.resolve({ kind: 'data', lengthBytes });
  }

  entries(request: RequestId, _sizeBytes: number, fill: (sink: EntrySink) => void): void {
    const entries: ListedEntry[] = [];
    const add = (name: ByteString, kind: FileKind, nextOffset: number): boolean => {
      entries.push({ name, kind, nextOffset });
      return true;
    };
    fill({
      add: (name, _ino, kind, nextOffset) => add(name, kind, nextOffset),
      addPlus: (name, attributes, _attrTtlMs, _entryTtlMs, nextOffset) =>
        add(name, attributes.kind, nextOffset),
    });
    this.#answer(request, { kind: 'entries', entries });
  }

  attributeValue(request: RequestId, value: Uint8Array): void {
    this.#answer(request, { kind: 'value', value });
  }

  /** The package has no lseek; the kernel answers it by itself. */
  offset(request: RequestId): void {
    this.error(request, 'unsupported');
  }

  ok(request: RequestId): void {
    this.#answer(request, { kind: 'ok' });
  }

  #answer(request: RequestId, answer: Answer): void {
    this.#take(request)?.resolve(answer);
  }

  #take(request: RequestId): Waiting | undefined {
    const waiting = this.#waiting.get(request);
    if (waiting === undefined) {
      this.#onInternalError(new Error(`Answer to a request that does not wait: ${request}`));
    }
    this.#waiting.delete(request);
    return waiting;
  }
}
