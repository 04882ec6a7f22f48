/** For tests: builds the bytes of requests field by field, independently of the decoder. */

type Field = { readonly width: 2 | 4 | 8; readonly value: bigint } | { readonly bytes: Uint8Array };
/** Groups have no meaning beyond the line that they are written on. */
export type Fields = readonly (Field | Fields)[];

export const u16 = (value: number): Field => ({ width: 2, value: BigInt(value) });
export const u32 = (value: number): Field => ({ width: 4, value: BigInt(value) });
export const u64 = (value: number | bigint): Field => ({ width: 8, value: BigInt(value) });
/** A string of bytes and its NUL. */
export const nul = (text: string): Field => ({ bytes: Buffer.from(`${text}\0`, 'latin1') });
export const raw = (text: string): Field => ({ bytes: Buffer.from(text, 'latin1') });

export function bytesOf(fields: Fields): Buffer {
  const parts = fields.map((field) => {
    if (!('bytes' in field || 'width' in field)) return bytesOf(field);
    if ('bytes' in field) return Buffer.from(field.bytes);
    const part = Buffer.alloc(8);
    part.writeBigUInt64LE(BigInt.asUintN(64, field.value));
    return part.subarray(0, field.width);
  });
  return Buffer.concat(parts);
}

export interface HeaderFields {
  readonly unique?: bigint;
  readonly nodeId?: bigint;
  readonly extensionUnits?: number;
}

/** A whole request with sentinel values in its header. */
export function requestBytes(opcode: number, body: Fields, header: HeaderFields = {}): Buffer {
  const bodyBytes = bytesOf(body);
  return Buffer.concat([
    bytesOf([
      u32(40 + bodyBytes.length), // len
      u32(opcode),
      u64(header.unique ?? 0x0000_0011_2233_4456n),
      u64(header.nodeId ?? 0x0000_0001_a1a2_a3a4n),
      u32(0xc1c2c3c4), // uid
      u32(0xd1d2d3d4), // gid
      u32(0x00e1e2e3), // pid
      u16(header.extensionUnits ?? 0),
      u16(0), // padding
    ]),
    bodyBytes,
  ]);
}

/** What `requestBytes` puts into the header, as it must be decoded. */
export function expectedHeader(opcode: number, bytes: Buffer) {
  return {
    len: bytes.length,
    opcode,
    unique: 0x11_2233_4456,
    resend: false,
    nodeId: 0x1_a1a2_a3a4,
    uid: 0xc1c2c3c4,
    gid: 0xd1d2d3d4,
    pid: 0xe1e2e3,
  };
}
