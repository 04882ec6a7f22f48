/**
 * Kinds of option values: how text becomes a value, what is allowed, how a value is shown. Every
 * source (flag, file, environment) gives text; only the text's own dialect differs.
 */

/** Alluxio's property files and our own sources differ in one thing. */
export interface Dialect {
  /** What a duration without a unit means: seconds to people and libfuse, milliseconds to Alluxio. */
  readonly bareDurationUnit: 's' | 'ms';
}

export interface ValueKind<T> {
  /** For help and tables: `SIZE`, `DURATION`, … */
  readonly placeholder: string;
  /** What may be given, as part of a sentence: `a size from 4KB to 256MB`. */
  readonly allowed: string;
  /** Throws `ValueError`. */
  parse(text: string, dialect: Dialect): T;
  /** Text that `parse` reads back to the same value, in any dialect. */
  format(value: T): string;
}

/** The text is not a value of the kind; `message` says more than `allowed` where there is more. */
export class ValueError extends Error {
  constructor(message = '') {
    super(message);
    this.name = 'ValueError';
  }
}

const SIZE_UNITS = ['', 'K', 'M', 'G', 'T', 'P'] as const;

/** Binary, as in Alluxio: 1KB, 1K, 1k and 1KiB are 1024 bytes. */
export function parseSize(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([kmgtp]?)(?:i?b)?$/i.exec(text.trim());
  const number = match?.[1];
  if (match === null || number === undefined) throw new ValueError();
  const power = SIZE_UNITS.findIndex((unit) => unit === (match[2] ?? '').toUpperCase());
  const bytes = Number(number) * 1024 ** power;
  if (!Number.isSafeInteger(bytes)) throw new ValueError('is not a whole number of bytes');
  return bytes;
}

/** The largest unit that loses nothing: 1048576 is 1MB, 1048577 is 1048577. */
export function formatSize(bytes: number): string {
  let value = bytes;
  let power = 0;
  while (value > 0 && value % 1024 === 0 && power < SIZE_UNITS.length - 1) {
    value /= 1024;
    power++;
  }
  return power === 0 ? String(bytes) : `${value}${SIZE_UNITS[power]}B`;
}

const DURATION_UNITS_MS = {
  ms: 1,
  millisecond: 1,
  milliseconds: 1,
  s: 1000,
  sec: 1000,
  second: 1000,
  seconds: 1000,
  m: 60_000,
  min: 60_000,
  minute: 60_000,
  minutes: 60_000,
  h: 3_600_000,
  hr: 3_600_000,
  hour: 3_600_000,
  hours: 3_600_000,
  d: 86_400_000,
  day: 86_400_000,
  days: 86_400_000,
} as const;

/** To whole milliseconds. Everything Alluxio reads is read to the same value, and a little more. */
export function parseDuration(text: string, dialect: Dialect): number {
  const match = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(text.trim());
  const number = match?.[1];
  if (match === null || number === undefined) throw new ValueError();
  const unit = (match[2] === '' ? dialect.bareDurationUnit : match[2])?.toLowerCase() ?? '';
  const factor = Object.entries(DURATION_UNITS_MS).find(([name]) => name === unit)?.[1];
  if (factor === undefined) throw new ValueError(`has the unknown unit "${unit}"`);
  const ms = Math.round(Number(number) * factor);
  if (!Number.isSafeInteger(ms)) throw new ValueError();
  return ms;
}

export function formatDuration(ms: number): string {
  for (const unit of ['d', 'h', 'min', 's'] as const) {
    const factor = DURATION_UNITS_MS[unit];
    if (ms > 0 && ms % factor === 0) return `${ms / factor}${unit}`;
  }
  return ms === 0 ? '0s' : `${ms}ms`;
}

/** As in Alluxio (`true`, `false`), and what people write in YAML and environments. */
export function parseBoolean(text: string): boolean {
  const word = text.trim().toLowerCase();
  if (['true', 'yes', 'on', '1'].includes(word)) return true;
  if (['false', 'no', 'off', '0'].includes(word)) return false;
  throw new ValueError();
}

interface Range {
  readonly min: number;
  readonly max: number;
}

function inRange(value: number, range: Range): number {
  if (value < range.min) throw new ValueError('is too small');
  if (value > range.max) throw new ValueError('is too large');
  return value;
}

export function sizeKind(range: Range & { readonly multipleOf?: number }): ValueKind<number> {
  const multiple = range.multipleOf;
  const multipleText = multiple === undefined ? '' : `, a multiple of ${formatSize(multiple)}`;
  return {
    placeholder: 'SIZE',
    allowed: `a size from ${formatSize(range.min)} to ${formatSize(range.max)}${multipleText}, such as 4MB (1MB is 1048576 bytes)`,
    parse(text) {
      const bytes = inRange(parseSize(text), range);
      if (multiple !== undefined && bytes % multiple !== 0) throw new ValueError();
      return bytes;
    },
    format: formatSize,
  };
}

export function durationKind(range: Range): ValueKind<number> {
  return {
    placeholder: 'DURATION',
    allowed: `a duration from ${formatDuration(range.min)} to ${formatDuration(range.max)}, such as 500ms, 60s, 5min or 1h (a bare number is seconds; in Alluxio properties, milliseconds)`,
    parse: (text, dialect) => inRange(parseDuration(text, dialect), range),
    format: formatDuration,
  };
}

export function integerKind(range: Range): ValueKind<number> {
  return {
    placeholder: 'NUMBER',
    allowed: `a whole number from ${range.min} to ${range.max}`,
    parse(text) {
      if (!/^\d{1,15}$/.test(text.trim())) throw new ValueError();
      return inRange(Number(text), range);
    },
    format: String,
  };
}

/** Permission bits in octal: `644`, `0644` and `0o644`. */
export const modeKind: ValueKind<number> = {
  placeholder: 'OCTAL',
  allowed: 'octal permission bits from 0000 to 0777, such as 0644',
  parse(text) {
    const digits = /^(?:0o?)?([0-7]{1,3})$/.exec(text.trim())?.[1];
    if (digits === undefined) throw new ValueError();
    return Number.parseInt(digits, 8);
  },
  format: (mode) => mode.toString(8).padStart(4, '0'),
};

export const booleanKind: ValueKind<boolean> = {
  placeholder: '',
  allowed: 'true or false',
  parse: parseBoolean,
  format: String,
};

export function choiceKind<const T extends string>(choices: readonly T[]): ValueKind<T> {
  return {
    placeholder: choices.join('|'),
    allowed: `one of ${choices.join(', ')}`,
    parse(text) {
      const word = text.trim().toLowerCase();
      const choice = choices.find((candidate) => candidate === word);
      if (choice === undefined) throw new ValueError();
      return choice;
    },
    format: (value) => value,
  };
}

export function textKind(options: {
  readonly placeholder: string;
  readonly allowed: string;
  readonly pattern: RegExp;
}): ValueKind<string> {
  return {
    placeholder: options.placeholder,
    allowed: options.allowed,
    parse(text) {
      if (!options.pattern.test(text)) throw new ValueError();
      return text;
    },
    format: (value) => value,
  };
}

/** Commas part a list everywhere; semicolons too, since commas part the options of `-o`. */
export function splitList(text: string): string[] {
  return text
    .split(/[,;]/)
    .map((part) => part.trim())
    .filter((part) => part !== '');
}

/**
 * Text of a wrong value as it may be shown. Somebody may have put a password where none belongs
 * (`http://user:password@host`): what stands before an `@` is left out.
 */
export function withoutCredentials(text: string): string {
  return text.replace(/^[^]*:[^]*@/, '(hidden)@');
}

export const portKind = integerKind({ min: 1, max: 65535 });

export const pathKind = textKind({
  placeholder: 'PATH',
  allowed: 'a path',
  // oxlint-disable-next-line no-control-regex
  pattern: /^[^\x00]+$/,
});
