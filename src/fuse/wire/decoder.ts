import { RequestCursor } from './cursor.ts';
import { DECODERS, type FuseRequest } from './ops/table.ts';

/** Turns what read(2) on /dev/fuse returned into requests, one at a time. */
export class RequestDecoder {
  readonly #cursor = new RequestCursor();
  readonly #layout = { setxattrExt: false };

  /** After INIT was answered: whether the reply accepted `InitFlag.SETXATTR_EXT`. */
  negotiated(layout: { readonly setxattrExt: boolean }): void {
    this.#layout.setxattrExt = layout.setxattrExt;
  }

  /**
   * `length` bytes were read to the start of `buffer`. Strings and numbers of the result are its own;
   * `data` and `value` are views of `buffer`.
   *
   * @throws {WireError} and nothing else, whatever the bytes are.
   */
  decode(buffer: Buffer, length: number): FuseRequest {
    const body: RequestCursor = this.#cursor;
    const header = body.start(buffer, length);
    const decodeBody = DECODERS[header.opcode];
    if (decodeBody === undefined) body.fail('unknown-opcode', String(header.opcode));
    const request = decodeBody(header, body, this.#layout);
    body.finish();
    return request;
  }
}
