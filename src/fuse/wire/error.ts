import { Errno } from './errno.ts';
import { opcodeName } from './opcodes.ts';
import type { RequestHeader } from './header.ts';

/**
 * Why the bytes of a request could not be understood.
 * - `short-header`: fewer bytes than the 40 of the header
 * - `length-mismatch`: the header says another length than was read
 * - `short-body` / `trailing-bytes`: the body is shorter / longer than its message
 * - `missing-nul`: a name runs to the end of the body
 * - `bad-name`: an empty name, or one with a slash where the kernel sends single names
 * - `bad-number`: a 64-bit number above 2^53 that may not be rounded
 * - `unknown-opcode`: a message that this side does not know
 */
export type WireErrorCode =
  | 'short-header'
  | 'length-mismatch'
  | 'short-body'
  | 'trailing-bytes'
  | 'missing-nul'
  | 'bad-name'
  | 'bad-number'
  | 'unknown-opcode';

/**
 * The only error that decoding raises. Where the header was readable it is attached, so that the
 * driver can answer the request with `errno` instead of leaving its caller waiting for ever.
 */
export class WireError extends Error {
  override readonly name = 'WireError';
  readonly code: WireErrorCode;
  /** What to answer when `header` is known and its opcode takes a reply. */
  readonly errno: number;
  readonly header: RequestHeader | undefined;

  constructor(code: WireErrorCode, detail: string, header?: RequestHeader, errno?: number) {
    const where = header === undefined ? 'FUSE request' : opcodeName(header.opcode);
    super(`${where}: ${code}: ${detail}`);
    this.code = code;
    this.errno = errno ?? (code === 'unknown-opcode' ? Errno.ENOSYS : Errno.EIO);
    this.header = header;
  }
}
