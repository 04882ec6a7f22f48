import type { DecodeBody, RequestBase } from './base.ts';

/**
 * FORGET: the kernel dropped the inode `header.nodeId` from its cache; lowers its lookup count by
 * `lookups`. At 0 the node id may be given up. Comes in its own time, may come for many inodes under
 * memory pressure, and does not come at unmount.
 *
 *  0 u64 nlookup
 *
 * No reply, no errno.
 */
export interface ForgetRequest extends RequestBase {
  readonly op: 'forget';
  readonly lookups: number;
}

export const decodeForget: DecodeBody<ForgetRequest> = (header, body) => {
  const at = body.take(8);
  return { op: 'forget', header, lookups: body.u64(at) };
};

/**
 * BATCH_FORGET: several FORGETs in one message; `header.nodeId` is 0.
 *
 *  0 u32 count  4 u32 padding  8 count x (u64 nodeid, u64 nlookup)
 *
 * No reply, no errno.
 */
export interface BatchForgetRequest extends RequestBase {
  readonly op: 'batch-forget';
  readonly entries: readonly { readonly nodeId: number; readonly lookups: number }[];
}

export const decodeBatchForget: DecodeBody<BatchForgetRequest> = (header, body) => {
  const count = body.u32(body.take(8));
  // Claimed in one piece, so that a false count makes no big array.
  const at = body.take(count * 16);
  const entries = [];
  for (let i = 0; i < count; i++) {
    const entry = at + i * 16;
    entries.push({ nodeId: body.u64(entry), lookups: body.u64(entry + 8) });
  }
  return { op: 'batch-forget', header, entries };
};
