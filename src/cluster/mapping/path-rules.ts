/**
 * Virtual paths: what programs name is turned into the path that the cluster has, by rules of a
 * pattern and a template, before anything else is done with it (protocol notes 5.4). The first rule
 * that matches the whole path counts; then, as for a directory, the first that matches it with a slash
 * behind it; without one the path stays.
 *
 * The patterns are an administrator's, the paths anybody's. RE2 matches in time that grows with the
 * length of both and no faster, so that no path can hold up the mount.
 */
import { RE2JS } from 're2js';
import { byteStringOfText, textOfByteString, type ByteString } from '../../base/byte-string.ts';
import { normaliseAlluxioPath } from '../ufs-path.ts';

/** `^/a/b/(.*)$` → `/x/{{ var1 }}`: `var1` is the first group. */
export interface PathRule {
  readonly src: string;
  readonly dst: string;
}

interface CompiledRule {
  readonly pattern: RE2JS;
  /** Text, and the numbers of groups between. */
  readonly template: readonly (string | number)[];
  /** `.` and `..` as parts of the path, that the administrator wrote. */
  readonly dots: number;
}

/** More would be a table of files, which is asked for with every path. */
const RULES_MAX = 1_000;
const PATTERN_LENGTH_MAX = 4_096;
/** What Linux takes as a path; a template that repeats groups could make more of it. */
const PATH_BYTES_MAX = 4_096;

export class PathRules {
  /** Directories that are to be seen, though only what is below them leads to anything. */
  readonly directories: readonly ByteString[];
  readonly #rules: readonly CompiledRule[];

  /** Throws a RangeError that names the rule and what is wrong with it. */
  constructor(rules: readonly PathRule[], directories: readonly string[] = []) {
    if (rules.length > RULES_MAX) throw new RangeError(`More than ${RULES_MAX} path rules`);
    if (directories.length > RULES_MAX) throw new RangeError(`More than ${RULES_MAX} directories`);
    this.#rules = rules.map(compiled);
    this.directories = directories.map((text) => {
      if (!text.startsWith('/')) throw new RangeError(`A virtual directory is a path: "${text}"`);
      return normaliseAlluxioPath(byteStringOfText(text));
    });
  }

  /** Throws a RangeError where a rule leads to what is no path. */
  apply(path: ByteString): ByteString {
    if (this.#rules.length === 0) return path;
    const normal = normaliseAlluxioPath(path);
    const text = textOfByteString(normal);
    // Patterns are text; a name that is none cannot be meant by one.
    if (text === undefined) return normal;
    return this.#applied(text) ?? (text === '/' ? undefined : this.#applied(`${text}/`)) ?? normal;
  }

  #applied(text: string): ByteString | undefined {
    for (const { pattern, template, dots } of this.#rules) {
      const matcher = pattern.matcher(text);
      if (!matcher.matches()) continue;
      const made = template.map((part) =>
        typeof part === 'string' ? part : (matcher.group(part) ?? ''),
      );
      if (dotsIn(made.join('')) > dots)
        throw new RangeError('A path rule makes a path with dots of a name');
      const result = byteStringOfText(made.join(''));
      if (result.length > PATH_BYTES_MAX)
        throw new RangeError('A path rule makes the path too long');
      return normaliseAlluxioPath(result);
    }
    return undefined;
  }
}

/**
 * The text of Alluxio's rule file: `{"rules":[{"src":…,"dst":…}],"virtualDirectories":["/a"]}`, or of its
 * later configuration, which has this under `mappingRules`. Throws a RangeError.
 */
export function parsePathRules(text: string): PathRules {
  const file = parsed(text);
  const outer = isRecord(file) ? file['mappingRules'] : undefined;
  const entity = isRecord(outer) ? outer : file;
  const { rules, virtualDirectories = [] } = isRecord(entity) ? entity : {};
  if (!Array.isArray(rules))
    throw new RangeError('Path rules are like {"rules":[{"src":…,"dst":…}]}');
  if (
    !Array.isArray(virtualDirectories) ||
    virtualDirectories.some((path) => typeof path !== 'string')
  )
    throw new RangeError('virtualDirectories are a list of paths');
  return new PathRules(
    rules.map((rule: unknown, index) => {
      const { src, dst } = isRecord(rule) ? rule : {};
      if (typeof src === 'string' && typeof dst === 'string') return { src, dst };
      throw new RangeError(`Path rule ${index + 1} needs the texts src and dst`);
    }),
    virtualDirectories as readonly string[],
  );
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new RangeError(`Path rules are JSON: ${reason}`, { cause: error });
  }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}

function compiled({ src, dst }: PathRule, index: number): CompiledRule {
  const wrong = (why: string, cause?: unknown): RangeError =>
    new RangeError(`Path rule ${index + 1} (${src.slice(0, 100)}): ${why}`, { cause });
  if (src.length > PATTERN_LENGTH_MAX) throw wrong('the pattern is too long');
  if (!dst.startsWith('/')) throw wrong('its target must begin with a slash');
  let pattern: RE2JS;
  try {
    pattern = RE2JS.compile(src);
  } catch (error) {
    throw wrong(error instanceof Error ? error.message : String(error), error);
  }
  const template: (string | number)[] = [];
  for (const [position, part] of dst.split(/\{\{\s*var(\d{1,3})\s*\}\}/).entries()) {
    if (position % 2 === 0) template.push(part);
    else template.push(Number(part));
  }
  for (const part of template) {
    if (typeof part === 'number' && (part < 1 || part > pattern.groupCount())) {
      throw wrong(`it has no group for var${part}`);
    }
    if (typeof part === 'string' && part.includes('{{')) throw wrong('it knows var1, var2, … only');
  }
  const dots = dotsIn(template.map((part) => (typeof part === 'string' ? part : 'x')).join(''));
  return { pattern, template, dots };
}

function dotsIn(path: string): number {
  return path.split('/').filter((part) => part === '.' || part === '..').length;
}
