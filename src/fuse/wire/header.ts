/**
 * The header of a request. One object is made for each request and may be kept.
 *
 *  0 u32 len        whole message
 *  4 u32 opcode
 *  8 u64 unique     bit 63: resent after NotifyCode.RESEND; bit 0: this is an INTERRUPT
 * 16 u64 nodeid
 * 24 u32 uid   28 u32 gid   32 u32 pid
 * 36 u16 total_extlen   in units of 8 bytes, at the end of the message   38 u16 padding
 */
export interface RequestHeader extends ReplyAddress {
  readonly len: number;
  readonly opcode: number;
  readonly nodeId: number;
  /** As seen from the mount's user namespace; 0xffffffff where there is no mapping. */
  readonly uid: number;
  readonly gid: number;
  /** Thread id of the caller in the mount's pid namespace; 0 for work of the kernel itself. */
  readonly pid: number;
}

/**
 * Where a reply goes. The kernel marks a resent request by setting bit 63 of the `unique` that it
 * keeps itself, and finds the request of a reply by comparing the whole number (only bit 0, of
 * interrupts, is masked). So a reply must carry the bit exactly when the request did: a reply
 * without it to a resent request is refused with ENOENT, and a late reply of a former daemon to the
 * same request cannot be taken for the new one's.
 */
export interface ReplyAddress {
  /** The low 63 bits; the kernel counts up from a small number, so it fits. */
  readonly unique: number;
  readonly resend: boolean;
}

export const IN_HEADER_SIZE = 40;
export const OUT_HEADER_SIZE = 16;

/** Smallest buffer that the kernel accepts a read into, whatever was negotiated. */
const MIN_READ_BUFFER = 8192;
/** The fixed part of a WRITE, header included. */
const WRITE_HEADER_SIZE = 80;

/**
 * What /dev/fuse must be read with: room for the biggest WRITE. The kernel fails every shorter read with
 * EINVAL, from the reply to INIT on.
 */
export function requestBufferSize(maxWrite: number): number {
  return Math.max(MIN_READ_BUFFER, WRITE_HEADER_SIZE + maxWrite);
}
