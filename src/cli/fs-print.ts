/** How files are shown: in columns to people, in plain lines to programs. */
import type { FileInfo } from '../client/index.ts';
import { bytesText } from './words.ts';

const LETTERS: Readonly<Record<FileInfo['type'], string>> = {
  file: '-',
  directory: 'd',
  symlink: 'l',
  fifo: 'p',
  socket: 's',
  'character-device': 'c',
  'block-device': 'b',
};

/** A terminal must not be told what to do by the name of a file. */
export function printable(text: string): string {
  // oxlint-disable-next-line no-control-regex
  return text.replace(/[\u0000-\u001f\u007f-\u009f]/g, (char) => {
    return `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`;
  });
}

/** Bytes, which the paths are that are no text, as base64. */
export function jsonText(value: unknown, indent?: number): string {
  const plain = (_name: string, part: unknown): unknown =>
    part instanceof Uint8Array ? Buffer.from(part).toString('base64') : part;
  return JSON.stringify(value, plain, indent);
}

export function sizeText(bytes: number, isHuman: boolean): string {
  // Units as options take them: KB is 1024.
  return isHuman ? bytesText(bytes).replace(' ', '').replace('iB', 'B') : String(bytes);
}

export function timeText(ms: number): string {
  return ms === 0 ? '-' : new Date(ms).toISOString();
}

/** Type and mode, size, time, name: separated by blanks, the name last. */
export function longLine(info: FileInfo, name: string, isHuman: boolean): string {
  const mode = info.mode === undefined ? '' : (info.mode & 0o7777).toString(8).padStart(4, '0');
  const size = sizeText(info.size, isHuman).padStart(12);
  const target = info.target === undefined ? '' : ` -> ${printable(info.target)}`;
  const columns = [
    `${LETTERS[info.type]}${mode}`.padEnd(5),
    size,
    timeText(info.mtimeMs).padEnd(24),
  ];
  return `${columns.join(' ')} ${printable(name)}${target}`;
}

export function infoLines(info: FileInfo): string[] {
  return Object.entries(info)
    .filter(([name]) => name !== 'pathBytes')
    .map(([name, value]) => {
      const shown = name === 'mtimeMs' ? timeText(Number(value)) : printable(String(value));
      return `${name === 'mtimeMs' ? 'mtime' : name}: ${shown}`;
    });
}
