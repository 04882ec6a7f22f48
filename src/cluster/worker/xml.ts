/**
 * As much XML as a worker's S3 port writes: elements and text, no attributes that matter, no
 * mixed content. Text comes out byte for byte: nothing is trimmed, no name is a number, and a line
 * feed stays one. (General parsers trim, guess types and normalise line ends: wrong names.)
 */
import { ClusterError } from '../types.ts';

export interface XmlElement {
  readonly name: string;
  /** Only where there are no children. */
  readonly text: string;
  readonly children: readonly XmlElement[];
}

interface OpenElement {
  name: string;
  text: string;
  children: XmlElement[];
}

/** The answers nest four deep. */
const maxDepth = 16;
const tagPattern = /<(\/?)([A-Za-z_][\w.:-]{0,63})((?:\s[^<>]{0,1024})?)(\/?)>/y;
const prologPattern = /^\s*(?:<\?xml[^<>?]{0,256}\?>)?\s*/;

/** `text` holds the bytes of the answer, one char a byte. */
export function parseXml(text: string): XmlElement {
  const top: OpenElement = { name: '', text: '', children: [] };
  const stack: OpenElement[] = [top];
  let position = prologPattern.exec(text)?.[0].length ?? 0;
  while (position < text.length) {
    const open = stack.at(-1);
    if (open === undefined) throw malformed('it does not nest');
    const tagAt = text.indexOf('<', position);
    const until = tagAt < 0 ? text.length : tagAt;
    if (until > position) open.text += unescapeXml(text.slice(position, until));
    if (tagAt < 0) break;
    tagPattern.lastIndex = tagAt;
    const tag = tagPattern.exec(text);
    if (tag === null) throw malformed('a tag is malformed');
    position = tagPattern.lastIndex;
    const [, closing, name = '', attributes = '', selfClosing] = tag;
    if (closing === '/') {
      if (open.name !== name || stack.length === 1) throw malformed('it does not nest');
      stack.pop();
      stack.at(-1)?.children.push(open);
    } else if (selfClosing === '/' || attributes.endsWith('/')) {
      open.children.push({ name, text: '', children: [] });
    } else {
      if (stack.length > maxDepth) throw malformed('it nests too deep');
      stack.push({ name, text: '', children: [] });
    }
  }
  const [root, ...more] = top.children;
  if (stack.length !== 1 || root === undefined || more.length > 0 || top.text.trim() !== '') {
    throw malformed('it ends too early or goes on too long');
  }
  return root;
}

export function childText(element: XmlElement, name: string): string | undefined {
  return element.children.find((child) => child.name === name)?.text;
}

const entities: ReadonlyMap<string, string> = new Map([
  ['amp', '&'],
  ['lt', '<'],
  ['gt', '>'],
  ['quot', '"'],
  ['apos', "'"],
]);

function unescapeXml(text: string): string {
  if (!text.includes('&')) return text;
  return text.replace(/&([^;&]{0,16})(;?)/g, (_, name: string, end: string) => {
    const value = end === ';' ? (entities.get(name) ?? numericEntity(name)) : undefined;
    if (value === undefined) throw malformed('an entity is unknown');
    return value;
  });
}

/** As UTF-8 bytes, one char a byte, like the text around it. */
function numericEntity(name: string): string | undefined {
  const digits = /^#(?:x([0-9A-Fa-f]{1,6})|([0-9]{1,7}))$/.exec(name);
  if (digits === null) return undefined;
  const [, hex, decimal] = digits;
  const point = hex === undefined ? Number.parseInt(decimal ?? '', 10) : Number.parseInt(hex, 16);
  if (point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff)) return undefined;
  return Buffer.from(String.fromCodePoint(point), 'utf8').toString('latin1');
}

function malformed(why: string): ClusterError {
  return new ClusterError('protocol', `The worker's XML is malformed: ${why}`, { retryable: true });
}
