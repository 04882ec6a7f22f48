/**
 * Between the FUSE wire and the core: decoded requests become calls of the core, its answers become
 * replies. Knows errno values and attributes' presentation (owner, mode); decides nothing else.
 *
 * INVARIANT: a request is in `#inFlight` exactly while it is unanswered and not the current one.
 */
import type { Clock } from '../base/clock.ts';
import type { MountConfig } from '../config/index.ts';
import { canSkipOpens, negotiate } from '../fuse/device/index.ts';
import type { FuseChannel, Negotiated } from '../fuse/device/index.ts';
import {
  DirentPlusWriter,
  DirentWriter,
  encodeAttrReply,
  encodeCreateReply,
  encodeDataHeader,
  encodeEmptyReply,
  encodeEntryReply,
  encodeErrorReply,
  encodeInitReply,
  encodeLseekReply,
  encodeNegativeEntryReply,
  encodeOpenReply,
  encodeStatfsReply,
  encodeStatxReply,
  encodeWriteReply,
  encodeXattrSizeReply,
  Errno,
  opcodeWantsReply,
  OpenReplyFlag,
  OUT_HEADER_SIZE,
  PROTOCOL_MAJOR,
  PROTOCOL_MINOR_OLDEST,
  REPLY_MAX_SIZE,
  RequestDecoder,
  Seek,
  WireError,
} from '../fuse/wire/index.ts';
import type { FuseRequest, RequestHeader } from '../fuse/wire/index.ts';
import type {
  Attributes,
  Core,
  CoreReplies,
  Counters,
  EntriesKept,
  EntrySink,
  FsErrorCode,
  HandleId,
  InodeId,
  OperationName,
  RequestId,
} from '../vfs/index.ts';
import { errnoOf } from './errno-table.ts';
import { Interrupts } from './interrupts.ts';
import { change, isChange, openModeOf } from './kernel-writes.ts';
import { passthroughProblem } from './passthrough-status.ts';
import { fileAttrOf, fileTypeBits, STATFS } from './presentation.ts';

/** Largest READDIR that the kernel sends is one request; the header goes in front. */
const ENTRIES_BYTES_MAX = 1024 * 1024;
const W_OK = 2;

const DIRECTORY_FLAGS: Record<EntriesKept, number> = {
  new: OpenReplyFlag.CACHE_DIR,
  kept: OpenReplyFlag.CACHE_DIR | OpenReplyFlag.KEEP_CACHE,
  apart: OpenReplyFlag.KEEP_CACHE,
};

interface InFlight {
  readonly header: RequestHeader;
  readonly op: FuseRequest['op'];
  readonly startedMs: number;
}

const OPERATION_OF: Partial<Record<FuseRequest['op'], OperationName>> = {
  lookup: 'Lookup',
  getattr: 'Getattr',
  statx: 'Getattr',
  open: 'Open',
  read: 'Read',
  release: 'Release',
  opendir: 'Opendir',
  readdir: 'Readdir',
  readdirplus: 'Readdir',
  releasedir: 'Releasedir',
  statfs: 'Statfs',
  getxattr: 'Getxattr',
  listxattr: 'Listxattr',
  access: 'Access',
  lseek: 'Lseek',
  forget: 'Forget',
  'batch-forget': 'Forget',
  interrupt: 'Interrupt',
  create: 'Create',
  write: 'Write',
  setattr: 'Setattr',
  readlink: 'Readlink',
  mkdir: 'Mkdir',
  mknod: 'Mknod',
  symlink: 'Symlink',
  link: 'Link',
  unlink: 'Unlink',
  rmdir: 'Rmdir',
  rename: 'Rename',
  flush: 'Flush',
  fsync: 'Fsync',
  fsyncdir: 'Fsyncdir',
  fallocate: 'Fallocate',
  setxattr: 'Setxattr',
  removexattr: 'Removexattr',
  init: 'Init',
  destroy: 'Destroy',
};

export interface KernelSessionParts {
  readonly channel: FuseChannel;
  readonly config: MountConfig;
  readonly counters: Counters;
  readonly clock: Clock;
  /** By an earlier life. */
  readonly negotiated?: Negotiated | undefined;
  readonly onNegotiated: (negotiated: Negotiated) => void;
  readonly onInternalError: (error: unknown) => void;
}

export class KernelSession implements CoreReplies {
  readonly #parts: KernelSessionParts;
  readonly #decoder = new RequestDecoder();
  readonly #out = Buffer.alloc(REPLY_MAX_SIZE);
  readonly #entriesOut = Buffer.alloc(OUT_HEADER_SIZE + ENTRIES_BYTES_MAX);
  readonly #direntWriter = new DirentWriter();
  readonly #direntPlusWriter = new DirentPlusWriter();
  readonly #inFlight = new Map<RequestId, InFlight>();
  readonly #interrupts: Interrupts;
  #current: InFlight | undefined;
  #core: Core | undefined;
  /** The kernel need not tell of opens. */
  #skipsOpens = false;

  constructor(parts: KernelSessionParts) {
    this.#parts = parts;
    this.#interrupts = new Interrupts({
      find: (id) => this.#inFlight.get(id),
      giveUp: (id) => this.#core?.interrupt(id),
      nowMs: () => parts.clock.nowMs(),
    });
    if (parts.negotiated !== undefined) this.#agree(parts.negotiated);
  }

  /** The core needs its replies first, so it comes second. */
  attach(core: Core): void {
    this.#core = core;
  }

  /** To be called as often as that of the core. */
  tick(): void {
    this.#interrupts.tick();
  }

  /** One message from the kernel. A mistake of ours fails this request only. */
  handle(buffer: Buffer, length: number): void {
    let request: FuseRequest;
    try {
      request = this.#decoder.decode(buffer, length);
    } catch (error) {
      this.#refuse(error);
      return;
    }
    const startedMs = this.#parts.clock.nowMs();
    const current: InFlight = { header: request.header, op: request.op, startedMs };
    this.#current = current;
    try {
      this.#dispatch(request);
    } catch (error) {
      this.#parts.counters.add('internalErrors');
      this.#parts.onInternalError(error);
      if (this.#current === current) this.#errno(idOf(request.header), Errno.EIO);
    }
    if (this.#current === current) {
      this.#current = undefined;
      this.#inFlight.set(idOf(request.header), current);
    }
  }

  /** Answers what cannot be decoded, as far as its header can be believed. */
  #refuse(error: unknown): void {
    if (!(error instanceof WireError)) throw error;
    this.#parts.counters.add('internalErrors');
    this.#parts.onInternalError(error);
    const { header, errno } = error;
    if (header === undefined || !opcodeWantsReply(header.opcode)) return;
    this.#parts.channel.write(this.#out, encodeErrorReply(this.#out, 0, header, errno));
  }

  #dispatch(request: FuseRequest): void {
    const core = this.#core as Core;
    const id = idOf(request.header);
    const ino = request.header.nodeId as InodeId;
    switch (request.op) {
      case 'init':
        this.#init(id, request);
        return;
      case 'lookup':
        core.lookup(id, ino, request.name);
        return;
      case 'forget':
        this.#done(id);
        core.forget(ino, request.lookups);
        return;
      case 'batch-forget':
        this.#done(id);
        for (const entry of request.entries) core.forget(entry.nodeId as InodeId, entry.lookups);
        return;
      case 'getattr':
      case 'statx':
        core.getattr(id, ino);
        return;
      case 'access':
        core.access(id, ino, (request.mask & W_OK) !== 0);
        return;
      case 'open':
        if (this.#skipsOpens) this.#decline(id);
        else core.open(id, ino, openModeOf(request.flags, request.openFlags));
        return;
      case 'read':
        core.read(id, request.fh as HandleId, request.offset, request.size, ino);
        return;
      case 'release':
      case 'releasedir':
        core.release(id, request.fh as HandleId);
        return;
      case 'opendir':
        core.opendir(id, ino);
        return;
      case 'readdir':
      case 'readdirplus':
        core.readdir(id, request.fh as HandleId, {
          offset: request.offset,
          sizeBytes: Math.min(request.size, ENTRIES_BYTES_MAX),
          isPlus: request.op === 'readdirplus',
        });
        return;
      case 'statfs':
        this.#reply(id, (out, header) => encodeStatfsReply(out, 0, header, STATFS));
        return;
      case 'lseek':
        if (request.whence !== Seek.DATA && request.whence !== Seek.HOLE) {
          this.error(id, 'invalid');
        } else {
          const whence = request.whence === Seek.DATA ? 'data' : 'hole';
          core.lseek(id, request.fh as HandleId, request.offset, whence, ino);
        }
        return;
      case 'getxattr':
        core.getxattr(id, ino, request.name, request.size);
        return;
      case 'listxattr':
        core.listxattr(id, ino, request.size);
        return;
      case 'interrupt':
        this.#done(id);
        this.#interrupts.add(request.targetUnique as RequestId);
        return;
      case 'destroy':
        this.ok(id);
        return;
      case 'fsync':
        // Without an open there is no handle to ask for, and nothing to save.
        if (this.#skipsOpens) this.#decline(id);
        else core.sync(id, request.fh as HandleId);
        return;
      case 'fsyncdir':
        core.syncDirectory(id, request.fh as HandleId);
        return;
      case 'readlink':
        core.readlink(id, ino);
        return;
      case 'ioctl':
        this.#errno(id, Errno.ENOTTY);
        return;
      case 'notify-reply':
        this.#done(id);
        return;
      case 'flush':
        // Nothing is buffered for a reader: the kernel may stop to tell us of every close(2).
        if (this.#parts.config.readOnly) this.#decline(id);
        else core.flush(id, request.fh as HandleId);
        return;
      // Answered by the kernel itself once it knows that we do not.
      case 'poll':
      case 'bmap':
      case 'syncfs':
      case 'getlk':
      case 'setlk':
      case 'setlkw':
      case 'copy-file-range':
      case 'copy-file-range-64':
        this.#decline(id);
        return;
      default:
        this.#change(id, core, request);
    }
  }

  #change(id: RequestId, core: Core, request: FuseRequest): void {
    if (this.#parts.config.readOnly) this.error(id, 'read-only');
    else if (!isChange(request)) this.error(id, 'unsupported');
    else change(core, id, request, (code) => this.error(id, code));
  }

  #init(id: RequestId, request: Extract<FuseRequest, { op: 'init' }>): void {
    if (request.major !== PROTOCOL_MAJOR || request.minor < PROTOCOL_MINOR_OLDEST) {
      this.#errno(id, Errno.EPROTO);
      return;
    }
    const { reply, negotiated } = negotiate(request, {
      maxBackground: this.#parts.config.maxBackground,
      isReadOnly: this.#parts.config.readOnly,
      isImmutable: this.#parts.config.immutable,
      wantsPassthrough: passthroughProblem(this.#parts.config, 'device') === undefined,
    });
    this.#reply(id, (out, header) => encodeInitReply(out, 0, header, reply));
    this.#agree(negotiated);
    this.#parts.onNegotiated(negotiated);
  }

  #agree(negotiated: Negotiated): void {
    this.#skipsOpens = this.#parts.config.immutable && canSkipOpens(negotiated);
  }

  // Replies of the core.

  error(id: RequestId, code: FsErrorCode): void {
    this.#errno(id, errnoOf(code));
  }

  entry(id: RequestId, attributes: Attributes, attrTtlMs: number, entryTtlMs: number): void {
    const isTaken = this.#reply(id, (out, header) =>
      encodeEntryReply(out, 0, header, this.#entryOf(attributes, attrTtlMs, entryTtlMs)),
    );
    // The kernel did not get to count this lookup.
    if (!isTaken) this.#core?.forget(attributes.ino, 1);
  }

  negativeEntry(id: RequestId, ttlMs: number): void {
    this.#reply(id, (out, header) => encodeNegativeEntryReply(out, 0, header, ttlMs));
  }

  attributes(id: RequestId, attributes: Attributes, ttlMs: number): void {
    const attr = fileAttrOf(attributes, this.#parts.config);
    this.#reply(id, (out, header, op) =>
      op === 'statx'
        ? encodeStatxReply(out, 0, header, ttlMs, attr)
        : encodeAttrReply(out, 0, header, ttlMs, attr),
    );
  }

  opened(id: RequestId, handle: HandleId, keepCache: boolean, backingId: number | undefined): void {
    if (backingId === undefined) {
      this.#replyOpened(id, handle, keepCache ? OpenReplyFlag.KEEP_CACHE : 0);
    } else this.#replyOpened(id, handle, OpenReplyFlag.PASSTHROUGH, backingId);
  }

  created(
    id: RequestId,
    attributes: Attributes,
    ttls: { readonly attrMs: number; readonly entryMs: number },
    handle: HandleId,
  ): void {
    const isTaken = this.#reply(id, (out, header) => {
      const entry = this.#entryOf(attributes, ttls.attrMs, ttls.entryMs);
      return encodeCreateReply(out, 0, header, entry, {
        fh: handle,
        openFlags: OpenReplyFlag.KEEP_CACHE,
        backingId: 0,
      });
    });
    if (isTaken) return;
    this.#core?.discardHandle(handle);
    this.#core?.forget(attributes.ino, 1);
  }

  written(id: RequestId, lengthBytes: number): void {
    this.#reply(id, (out, header) => encodeWriteReply(out, 0, header, lengthBytes));
  }

  openedDirectory(id: RequestId, handle: HandleId, kept: EntriesKept): void {
    this.#replyOpened(id, handle, DIRECTORY_FLAGS[kept]);
  }

  #replyOpened(id: RequestId, handle: HandleId, openFlags: number, backingId = 0): void {
    const isTaken = this.#reply(id, (out, header) =>
      encodeOpenReply(out, 0, header, { fh: handle, openFlags, backingId }),
    );
    if (!isTaken) this.#core?.discardHandle(handle);
  }

  data(id: RequestId, segments: readonly Uint8Array[], lengthBytes: number): void {
    const request = this.#take(id, false);
    if (request === undefined) return;
    const length = encodeDataHeader(this.#out, 0, request.header, lengthBytes);
    if (lengthBytes === 0) this.#parts.channel.write(this.#out, length);
    else this.#parts.channel.writev([this.#out.subarray(0, length), ...segments]);
  }

  entries(id: RequestId, sizeBytes: number, fill: (sink: EntrySink) => void): void {
    const request = this.#take(id, false);
    if (request === undefined) return;
    const isPlus = request.op === 'readdirplus';
    const writer = isPlus ? this.#direntPlusWriter : this.#direntWriter;
    const counted: InodeId[] = [];
    const isTaken = this.#guarded(request, () => {
      writer.begin(this.#entriesOut, OUT_HEADER_SIZE, Math.min(sizeBytes, ENTRIES_BYTES_MAX));
      fill({
        add: (name, ino, kind, nextOffset) =>
          isPlus
            ? this.#direntPlusWriter.append(name, null, ino, fileTypeBits(kind), nextOffset)
            : this.#direntWriter.append(name, ino, fileTypeBits(kind), nextOffset),
        addPlus: (name, attributes, attrTtlMs, entryTtlMs, nextOffset) => {
          const isAdded = this.#direntPlusWriter.append(
            name,
            this.#entryOf(attributes, attrTtlMs, entryTtlMs),
            attributes.ino,
            fileTypeBits(attributes.kind),
            nextOffset,
          );
          if (isAdded) counted.push(attributes.ino);
          return isAdded;
        },
      });
      const length = writer.length;
      encodeDataHeader(this.#entriesOut, 0, request.header, length);
      return this.#parts.channel.write(this.#entriesOut, OUT_HEADER_SIZE + length);
    });
    // The kernel did not get to count these lookups.
    if (!isTaken) for (const ino of counted) this.#core?.forget(ino, 1);
  }

  attributeValue(id: RequestId, value: Uint8Array, sizeBytes: number): void {
    if (sizeBytes > 0) this.data(id, [value], value.length);
    else this.#reply(id, (out, header) => encodeXattrSizeReply(out, 0, header, value.length));
  }

  offset(id: RequestId, offset: number): void {
    this.#reply(id, (out, header) => encodeLseekReply(out, 0, header, offset));
  }

  ok(id: RequestId): void {
    this.#reply(id, (out, header) => encodeEmptyReply(out, 0, header));
  }

  #entryOf(attributes: Attributes, attrTtlMs: number, entryTtlMs: number) {
    return {
      nodeId: attributes.ino,
      generation: 0,
      entryValidMs: entryTtlMs,
      attrValidMs: attrTtlMs,
      attr: fileAttrOf(attributes, this.#parts.config),
    };
  }

  #errno(id: RequestId, errno: number): void {
    this.#answerErrno(this.#take(id, true), errno);
  }

  /** The normal way to tell the kernel that it need not ask: no failure of a request. */
  #decline(id: RequestId): void {
    this.#answerErrno(this.#take(id, false), Errno.ENOSYS);
  }

  #answerErrno(request: InFlight | undefined, errno: number): void {
    if (request === undefined) return;
    this.#parts.channel.write(this.#out, encodeErrorReply(this.#out, 0, request.header, errno));
  }

  #reply(
    id: RequestId,
    encode: (out: Buffer, header: RequestHeader, op: FuseRequest['op']) => number,
  ): boolean {
    const request = this.#take(id, false);
    if (request === undefined) return false;
    return this.#guarded(request, () => {
      const length = encode(this.#out, request.header, request.op);
      return this.#parts.channel.write(this.#out, length);
    });
  }

  /** Whatever goes wrong with an answer, the program that waits for it gets one. */
  #guarded(request: InFlight, answer: () => boolean): boolean {
    try {
      return answer();
    } catch (error) {
      this.#parts.counters.add('internalErrors');
      this.#parts.onInternalError(error);
      const length = encodeErrorReply(this.#out, 0, request.header, Errno.EIO);
      this.#parts.channel.write(this.#out, length);
      return false;
    }
  }

  /** For messages that take no reply. */
  #done(id: RequestId): void {
    this.#take(id, false);
  }

  #take(id: RequestId, isError: boolean): InFlight | undefined {
    let request = this.#current;
    if (request !== undefined && idOf(request.header) === id) this.#current = undefined;
    else {
      request = this.#inFlight.get(id);
      if (request === undefined) {
        this.#parts.counters.add('internalErrors');
        this.#parts.onInternalError(new Error(`Answer to a request that is not in flight: ${id}`));
        return undefined;
      }
      this.#inFlight.delete(id);
    }
    const latencyMs = this.#parts.clock.nowMs() - request.startedMs;
    this.#parts.counters.observe(OPERATION_OF[request.op] ?? 'Other', latencyMs, isError);
    return request;
  }
}

function idOf(header: RequestHeader): RequestId {
  return header.unique as RequestId;
}
