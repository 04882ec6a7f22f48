import type { RequestCursor } from '../cursor.ts';
import type { RequestHeader } from '../header.ts';

export interface RequestBase {
  readonly header: RequestHeader;
}

/** Things that INIT settled and that change how later messages look. */
export interface NegotiatedLayout {
  /** `InitFlag.SETXATTR_EXT` was accepted. */
  readonly setxattrExt: boolean;
}

/** Reads the body of one message; `body` stands right behind the header. */
export type DecodeBody<T> = (
  header: RequestHeader,
  body: RequestCursor,
  layout: NegotiatedLayout,
) => T;
