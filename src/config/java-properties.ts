/**
 * The file format of `java.util.Properties`, as Alluxio reads `alluxio-site.properties`: comments
 * with # and !, keys ended by =, : or white space, lines continued by a backslash, \uXXXX escapes,
 * the last of two equal keys wins. Then Alluxio's own `${name}` references.
 */

export interface PropertyLine {
  readonly value: string;
  /** First line of the entry, from 1. */
  readonly line: number;
}

/** References to references end somewhere; a cycle would not. Alluxio's own limit. */
const REFERENCE_DEPTH_MAX = 20;

function unescape(text: string): string {
  return text.replace(/\\(?:u([0-9a-fA-F]{4})|(.))/gs, (_whole, hex?: string, char?: string) => {
    if (hex !== undefined) return String.fromCharCode(Number.parseInt(hex, 16));
    const controls: Record<string, string> = { t: '\t', n: '\n', r: '\r', f: '\f' };
    return controls[char ?? ''] ?? char ?? '';
  });
}

function isContinued(line: string): boolean {
  return (/\\+$/.exec(line)?.[0].length ?? 0) % 2 === 1;
}

export function parseJavaProperties(text: string): Map<string, PropertyLine> {
  const entries = new Map<string, PropertyLine>();
  const lines = text.replace(/^\uFEFF/, '').split(/\r\n|\r|\n/);
  for (let index = 0; index < lines.length; index++) {
    const line = index + 1;
    let logical = (lines[index] ?? '').trimStart();
    if (logical === '' || logical.startsWith('#') || logical.startsWith('!')) continue;
    while (isContinued(logical)) {
      index++;
      logical = logical.slice(0, -1) + (lines[index] ?? '').trimStart();
    }
    const match = /^((?:\\.|[^\\=:\s])*)\s*[=:]?\s*(.*)$/su.exec(logical);
    const key = unescape(match?.[1] ?? '');
    // Java keeps blanks at the end of a value; nobody means them.
    entries.set(key, { value: unescape(match?.[2] ?? '').trim(), line });
  }
  return entries;
}

/**
 * Replaces `${name}` by what `lookup` gives, over and over. Undefined where a name is not
 * known or refers to itself.
 */
export function expandReferences(
  value: string,
  lookup: (name: string) => string | undefined,
  depth = 0,
): string | undefined {
  if (depth > REFERENCE_DEPTH_MAX) return undefined;
  let isComplete = true;
  const expanded = value.replace(/\$\{([^}]*)\}/g, (_whole, name: string) => {
    const found = lookup(name.trim());
    const inner = found === undefined ? undefined : expandReferences(found, lookup, depth + 1);
    if (inner === undefined) isComplete = false;
    return inner ?? '';
  });
  return isComplete ? expanded : undefined;
}
