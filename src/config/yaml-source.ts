/**
 * The configuration file: one flat mapping of option names to values. Values are taken as written,
 * not as YAML types: `file-mode: 0644` is the text 0644, which YAML 1.2 would read as the number
 * 644.
 */
import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument } from 'yaml';
import type { Document, Node } from 'yaml';

export interface YamlEntry {
  readonly key: string;
  /** From 1. */
  readonly line: number;
  /** Undefined for `key:` without a value, which counts as not set. */
  readonly text: string | undefined;
}

export interface YamlReading {
  readonly entries: readonly YamlEntry[];
  readonly errors: readonly { readonly line: number; readonly message: string }[];
}

type Parsed = { readonly text: string | undefined } | { readonly reason: string };

function scalarText(node: unknown, document: Document): Parsed {
  const target = isAlias(node) ? node.resolve(document) : node;
  if (target === undefined || target === null) return { text: undefined };
  if (!isScalar(target)) return { reason: 'must be a single value' };
  if (target.value === null) return { text: undefined };
  return { text: typeof target.value === 'string' ? target.value : (target.source ?? '') };
}

function valueText(node: unknown, document: Document): Parsed {
  const target = isAlias(node) ? node.resolve(document) : node;
  if (!isSeq(target)) return scalarText(node, document);
  const parts = target.items.map((item) => scalarText(item, document));
  const bad = parts.find((part) => 'reason' in part);
  if (bad !== undefined) return bad;
  return { text: parts.map((part) => ('text' in part ? (part.text ?? '') : '')).join(',') };
}

export function readYaml(text: string): YamlReading {
  const lineCounter = new LineCounter();
  const document = parseDocument(text, { lineCounter, prettyErrors: false });
  const lineAt = (offset: number): number => Math.max(1, lineCounter.linePos(offset).line);
  const errors = document.errors.map((error) => ({
    line: lineAt(error.pos[0]),
    message: `is not valid YAML: ${error.message}`,
  }));
  const root = document.contents;
  if (errors.length > 0 || root === null) return { entries: [], errors };
  if (isScalar(root) && root.value === null) return { entries: [], errors };
  if (!isMap(root)) {
    return { entries: [], errors: [{ line: 1, message: 'must be a mapping of names to values' }] };
  }
  const entries: YamlEntry[] = [];
  for (const pair of root.items) {
    const line = lineAt((pair.key as Node | null)?.range?.[0] ?? 0);
    const key = scalarText(pair.key, document);
    const value = valueText(pair.value, document);
    if ('reason' in key || key.text === undefined) {
      errors.push({ line, message: 'the name of an option must be a plain word' });
    } else if ('reason' in value) {
      errors.push({ line, message: `${key.text}: ${value.reason}` });
    } else {
      entries.push({ key: key.text, line, text: value.text });
    }
  }
  return { entries, errors };
}
