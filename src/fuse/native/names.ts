/**
 * The package decodes every path as UTF-8 and puts U+FFFD where that fails, and takes names back as
 * text only. So a path with U+FFFD may stand for many names: it is refused, since guessing could
 * open another file. A name that is really spelled with U+FFFD is refused with them.
 */
import {
  byteStringOfText,
  bytesOfByteString,
  NAME_BYTES_MAX,
  textOfByteString,
} from '../../base/byte-string.ts';
import type { ByteString } from '../../base/byte-string.ts';

const REPLACEMENT = '\u{fffd}';

/** Undefined where the text does not tell which bytes it was made of. */
export function bytesOfText(text: string): ByteString | undefined {
  return text.includes(REPLACEMENT) ? undefined : byteStringOfText(text);
}

/** Whether the name can be listed and asked for again. */
export function isExpressible(name: ByteString): boolean {
  const text = textOfByteString(name);
  return text !== undefined && !text.includes(REPLACEMENT);
}

/**
 * How a name is listed. One that cannot be expressed is shown with U+FFFD, so that its absence goes
 * unnoticed by nobody; whoever asks for it is refused. Undefined where even that is too long.
 */
export function listedName(name: ByteString): string | undefined {
  const text = textOfByteString(name) ?? bytesOfByteString(name).toString('utf8');
  return Buffer.byteLength(text) <= NAME_BYTES_MAX ? text : undefined;
}
