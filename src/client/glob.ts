/**
 * Glob patterns over paths: `*`, `?` and `[a-z]` within a name, `**` for any number of directories,
 * `{a,b}` for alternatives. Names are matched by hand: a pattern costs at most its length times the
 * name's, whatever is written in it.
 */
import { AlluxioError } from './errors.ts';

const ALTERNATIVES_MAX = 1000;

/** All that the braces stand for; nested ones as well. */
export function expandBraces(pattern: string): string[] {
  const done: string[] = [];
  const pending = [pattern];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const found = /\{([^{}]*,[^{}]*)\}/.exec(next);
    if (found === null) done.push(next);
    else {
      const [before, after] = [
        next.slice(0, found.index),
        next.slice(found.index + found[0].length),
      ];
      for (const part of (found[1] ?? '').split(',').toReversed()) {
        pending.push(`${before}${part}${after}`);
      }
    }
    if (done.length + pending.length > ALTERNATIVES_MAX) {
      throw new AlluxioError(
        'invalid',
        `The braces stand for more than ${ALTERNATIVES_MAX} patterns`,
      );
    }
  }
  // Nested braces give the outer alternatives once for each inner one.
  return [...new Set(done)];
}

export function hasMagic(text: string): boolean {
  return /[*?[{]/.test(text);
}

/** One name against one part of a pattern. */
export function matchesName(pattern: string, name: string): boolean {
  const wanted = tokensOf(pattern);
  const chars = Array.from(name);
  let [at, token] = [0, 0];
  // Where to go on when what follows the last star does not fit: one character further.
  let [starToken, starAt] = [-1, 0];
  while (at < chars.length) {
    const expected = wanted[token];
    if (expected === '*') {
      [starToken, starAt] = [token, at];
      token += 1;
    } else if (expected !== undefined && expected(chars[at] ?? '')) {
      at += 1;
      token += 1;
    } else if (starToken >= 0) {
      starAt += 1;
      [at, token] = [starAt, starToken + 1];
    } else {
      return false;
    }
  }
  return wanted.slice(token).every((rest) => rest === '*');
}

type Token = '*' | ((char: string) => boolean);

function tokensOf(pattern: string): Token[] {
  const tokens: Token[] = [];
  const chars = Array.from(pattern);
  for (let i = 0; i < chars.length; i += 1) {
    const char = chars[i] ?? '';
    const close = char === '[' ? chars.indexOf(']', i + 2) : -1;
    if (char === '*') tokens.push('*');
    else if (char === '?') tokens.push(() => true);
    else if (close > 0) {
      tokens.push(oneOf(chars.slice(i + 1, close)));
      i = close;
    } else if (char === '\\' && i + 1 < chars.length) {
      i += 1;
      const literal = chars[i];
      tokens.push((other) => other === literal);
    } else tokens.push((other) => other === char);
  }
  return tokens;
}

function oneOf(inside: readonly string[]): (char: string) => boolean {
  const isNegative = inside[0] === '!' || inside[0] === '^';
  const set = isNegative ? inside.slice(1) : inside;
  return (char) => {
    for (let i = 0; i < set.length; i += 1) {
      const [low = '', dash, high] = set.slice(i, i + 3);
      const isRange = dash === '-' && high !== undefined;
      if (isRange ? char >= low && char <= high : char === low) return !isNegative;
      if (isRange) i += 2;
    }
    return isNegative;
  };
}

/** A path in parts against a pattern in parts, where `**` is any number of them. */
export function matchesParts(pattern: readonly string[], parts: readonly string[]): boolean {
  // reachable[i]: the pattern so far may have used up the first i parts.
  let reachable = Array.from({ length: parts.length + 1 }, (_, i) => i === 0);
  for (const wanted of pattern) {
    const next = Array.from({ length: parts.length + 1 }, () => false);
    for (let i = 0; i <= parts.length; i += 1) {
      if (wanted === '**') next[i] = reachable[i] === true || (i > 0 && next[i - 1] === true);
      else if (i > 0 && reachable[i - 1] === true)
        next[i] = matchesName(wanted, parts[i - 1] ?? '');
    }
    reachable = next;
  }
  return reachable[parts.length] === true;
}

/** Whether something below the directory could match: else it need not be listed. */
export function mayMatchBelow(pattern: readonly string[], directory: readonly string[]): boolean {
  const deep = pattern.indexOf('**');
  if (deep >= 0 && directory.length >= deep) {
    return matchesParts(pattern.slice(0, deep), directory.slice(0, deep));
  }
  if (directory.length >= pattern.length) return false;
  return matchesParts(pattern.slice(0, directory.length), directory);
}
