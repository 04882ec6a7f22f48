/** What is asked of the kernel at INIT, and what came of it. There is one INIT in a mount's life. */
import { InitFlag, InitFlag2, PROTOCOL_MAJOR, PROTOCOL_MINOR } from '../wire/index.ts';
import type { InitReply, InitRequest } from '../wire/index.ts';

/** Requests of 1 MiB: the most that the kernel takes, in pages of 4 KiB. */
const MAX_PAGES = 256;
export const REQUEST_BYTES_MAX = MAX_PAGES * 4096;

const WANTED =
  InitFlag.ASYNC_READ |
  InitFlag.BIG_WRITES |
  InitFlag.DO_READDIRPLUS |
  InitFlag.PARALLEL_DIROPS |
  InitFlag.ATOMIC_O_TRUNC |
  InitFlag.MAX_PAGES |
  InitFlag.INIT_EXT;

/** The kernel looks at times and lengths by itself for what others change. */
const WANTED_READ_ONLY = WANTED | InitFlag.AUTO_INVAL_DATA;
/**
 * Times change with every save of our own: the kernel must not drop its pages for that, and is told
 * of what others change. Set-id bits are taken away here, so that no write has to ask for attributes.
 */
const WANTED_WRITABLE = WANTED | InitFlag.EXPLICIT_INVAL_DATA | InitFlag.HANDLE_KILLPRIV_V2;

const WANTED_EXT = InitFlag2.HAS_EXPIRE_ONLY | InitFlag2.HAS_RESEND;

/** What the connection can do; a daemon that takes over must be told, there is no second INIT. */
export interface Negotiated {
  readonly minor: number;
  readonly flags: number;
  readonly flags2: number;
  readonly maxWriteBytes: number;
  readonly maxPages: number;
}

export interface NegotiateOptions {
  /** Bound on read-ahead and other background requests that the kernel keeps unanswered. */
  readonly maxBackground: number;
  readonly isReadOnly: boolean;
  readonly isImmutable: boolean;
  /** Some files may be read by the kernel itself. */
  readonly wantsPassthrough: boolean;
}

export function negotiate(
  request: InitRequest,
  options: NegotiateOptions,
): { readonly reply: InitReply; readonly negotiated: Negotiated } {
  const wanted =
    (options.isReadOnly ? WANTED_READ_ONLY : WANTED_WRITABLE) |
    (options.isImmutable ? InitFlag.NO_OPEN_SUPPORT : 0);
  const flags = wanted & request.flags;
  const wantedExt = WANTED_EXT | (options.wantsPassthrough ? InitFlag2.PASSTHROUGH : 0);
  const flags2 = (flags & InitFlag.INIT_EXT) === 0 ? 0 : wantedExt & request.flags2;
  const hasMaxPages = (flags & InitFlag.MAX_PAGES) !== 0;
  const maxWriteBytes = hasMaxPages ? REQUEST_BYTES_MAX : 128 * 1024;
  const minor = Math.min(request.minor, PROTOCOL_MINOR);
  const maxPages = hasMaxPages ? MAX_PAGES : 32;
  const reply: InitReply = {
    major: PROTOCOL_MAJOR,
    minor,
    maxReadahead: Math.max(request.maxReadahead, REQUEST_BYTES_MAX),
    flags,
    flags2,
    maxBackground: options.maxBackground,
    congestionThreshold: Math.max(1, Math.floor((options.maxBackground * 3) / 4)),
    maxWrite: maxWriteBytes,
    timeGran: 1,
    maxPages: hasMaxPages ? MAX_PAGES : 0,
    // Copies lie on plain file systems, not on stacked ones.
    maxStackDepth: (flags2 & InitFlag2.PASSTHROUGH) === 0 ? 0 : 1,
    requestTimeoutSeconds: 0,
  };
  return { reply, negotiated: { minor, flags, flags2, maxWriteBytes, maxPages } };
}

export function canResend(negotiated: Negotiated): boolean {
  return (negotiated.flags2 & InitFlag2.HAS_RESEND) !== 0;
}

/**
 * Where no open tells of an inode of an earlier life, only the kernel can see to it that names are looked
 * up again.
 */
export function canSkipOpens(negotiated: Negotiated): boolean {
  return (negotiated.flags & InitFlag.NO_OPEN_SUPPORT) !== 0 && canIncreaseEpoch(negotiated);
}

export function canPassThrough(negotiated: Negotiated): boolean {
  return (negotiated.flags2 & InitFlag2.PASSTHROUGH) !== 0;
}

/** FUSE_NOTIFY_INC_EPOCH came with protocol 7.44. */
export function canIncreaseEpoch(negotiated: Negotiated): boolean {
  return negotiated.minor >= 44;
}
