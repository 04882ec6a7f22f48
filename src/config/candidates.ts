/**
 * What each source says about each option, as text, strongest first. Nothing is interpreted here
 * but the shape of the sources themselves.
 */
import { dirname } from 'node:path';
import { expandReferences, parseJavaProperties } from './java-properties.ts';
import { isIgnoredMountOption, isKernelFlag, parseMountOptions } from './mount-flags.ts';
import type { MountOptionWord } from './mount-flags.ts';
import {
  ENVIRONMENT_PREFIX,
  environmentName,
  isBooleanOption,
  mountOptionNames,
  optionList,
  options,
} from './options.ts';
import type { AnyOption, OptionField } from './options.ts';
import { didYouMean, nearest } from './suggest.ts';
import type { ConfigProblem, Provenance, SourceKind } from './types.ts';
import type { Dialect } from './values.ts';
import { readYaml } from './yaml-source.ts';

export const HIDDEN = '(hidden)';

const ownDialect: Dialect = { bareDurationUnit: 's' };
const alluxioDialect: Dialect = { bareDurationUnit: 'ms' };

export interface Candidate extends Provenance {
  readonly text: string;
  readonly dialect: Dialect;
  /** Where relative paths start. */
  readonly baseDir: string;
}

/** A file that a source asks for, read through the caller's `readText`. */
export interface NamedText {
  readonly name: string;
  readonly text: string;
}

interface Place {
  readonly source: SourceKind;
  readonly where: string;
  readonly baseDir: string;
}

/**
 * Several mounts are one list, at the place of the last. Of other lists the last word is meant: those
 * of the command line replace those of fstab.
 */
function joinedMounts(words: readonly MountOptionWord[]): MountOptionWord[] {
  const names = mountOptionNames(options.map);
  const isMount = ({ name, value }: MountOptionWord): boolean =>
    value !== undefined && names.includes(name.replaceAll('-', '_'));
  const mounts = words.filter(isMount);
  const value = mounts.map((word) => word.value).join(',');
  const last = mounts.at(-1);
  return words
    .filter((word) => word === last || !isMount(word))
    .map((word) => (word === last ? { ...word, value } : word));
}

export class Candidates {
  readonly problems: ConfigProblem[] = [];
  readonly warnings: string[] = [];
  /** Kernel flags of `-o`, in the order given. */
  readonly flagWords: string[] = [];

  readonly #cwd: string;
  /** INVARIANT: strongest first, because sources are added in that order. */
  readonly #byField = new Map<OptionField, Candidate[]>();

  constructor(cwd: string) {
    this.#cwd = cwd;
  }

  strongest(field: OptionField): Candidate | undefined {
    return this.#byField.get(field)?.[0];
  }

  add(field: OptionField, candidate: Candidate): void {
    this.#byField.set(field, [...(this.#byField.get(field) ?? []), candidate]);
  }

  addFlags(flags: Readonly<Partial<Record<OptionField, string>>>): void {
    for (const { field, row } of optionList) {
      const text = flags[field];
      if (text === undefined) continue;
      if (row.isSecret === true) {
        this.#refuseSecret({ field, row }, `--${row.key}`);
        continue;
      }
      const isNegative = isBooleanOption(row) && text === 'false';
      const where = `--${isNegative ? 'no-' : ''}${row.key}`;
      const place: Place = { source: 'flag', where, baseDir: this.#cwd };
      this.#addText({ field, row }, text, place, ownDialect);
    }
  }

  addMountOptions(texts: readonly string[]): void {
    // The last of several is meant, as everywhere in mount(8): it goes in first.
    const pending: (() => void)[] = [];
    for (const word of joinedMounts(texts.flatMap(parseMountOptions))) {
      const add = this.#mountOption(word);
      if (add !== undefined) pending.unshift(add);
    }
    for (const add of pending) add();
  }

  addPropertyFlags(texts: readonly string[]): void {
    for (const text of texts.toReversed()) {
      const match = /^\s*([^=\s]+)\s*=(.*)$/s.exec(text);
      if (match === null) {
        this.#problem('--property', '', undefined, 'must be given as NAME=VALUE');
        continue;
      }
      this.#commandLineProperty(match[1] ?? '', (match[2] ?? '').trim(), {
        source: 'property-flag',
        where: `--property ${match[1]}`,
        baseDir: this.#cwd,
      });
    }
  }

  addEnvironment(env: Readonly<Record<string, string | undefined>>): void {
    const names = optionList.map(({ row }) => environmentName(row));
    for (const option of optionList) {
      const name = environmentName(option.row);
      const text = env[name];
      // Container files often set a variable to nothing to say "not set".
      if (text === undefined || text === '') continue;
      const place: Place = { source: 'environment', where: name, baseDir: this.#cwd };
      this.#addText(option, text, place, ownDialect);
    }
    const endings = names.map((name) => name.slice(ENVIRONMENT_PREFIX.length));
    for (const name of Object.keys(env)) {
      if (!name.startsWith(ENVIRONMENT_PREFIX) || names.includes(name)) continue;
      // Alluxio's own scripts have variables with this prefix, so only near misses are mentioned.
      const ending = nearest(name.slice(ENVIRONMENT_PREFIX.length), endings);
      if (ending !== undefined) {
        const known = `${ENVIRONMENT_PREFIX}${ending}`;
        this.warnings.push(`${name} is not known and is ignored (did you mean ${known}?)`);
      }
    }
  }

  addYaml(file: NamedText): void {
    const { entries, errors } = readYaml(file.text);
    for (const { line, message } of errors) {
      this.#problem('config', `${file.name}:${line}`, undefined, message);
    }
    const keys = optionList.map(({ row }) => row.key);
    for (const { key, line, text } of entries) {
      const where = `${file.name}:${line}`;
      const option = optionList.find(({ row }) => row.key === key);
      if (option === undefined) {
        this.#problem(key, where, undefined, `is not an option${didYouMean(key, keys)}`);
      } else if (option.field === 'config') {
        this.#problem(key, where, text, 'cannot be set in the configuration file itself');
      } else if (text !== undefined) {
        const place: Place = { source: 'yaml', where, baseDir: dirname(file.name) };
        this.#addText(option, text, place, ownDialect);
      }
    }
  }

  addSiteProperties(file: NamedText, env: Readonly<Record<string, string | undefined>>): void {
    const entries = parseJavaProperties(file.text);
    const lookup = (name: string): string | undefined =>
      entries.get(name)?.value ?? (name === 'alluxio.home' ? env['ALLUXIO_HOME'] : undefined);
    for (const option of optionList) {
      for (const name of option.row.properties ?? []) {
        const entry = entries.get(name);
        if (entry === undefined || entry.value === '') continue;
        const where = `${file.name}:${entry.line} ${name}`;
        const text = expandReferences(entry.value, lookup);
        if (text === undefined) {
          const reason = 'refers to a property that is not in the file, or to itself';
          this.#problem(option.row.key, where, entry.value, reason);
          continue;
        }
        const place: Place = { source: 'site-properties', where, baseDir: dirname(file.name) };
        this.#addText(option, text, place, alluxioDialect);
      }
    }
  }

  /** Undefined for a word that needs nothing done, or is wrong. */
  #mountOption(word: MountOptionWord): (() => void) | undefined {
    const bare = word.value === undefined;
    if (bare && isKernelFlag(word.name)) {
      this.flagWords.push(word.name);
      return undefined;
    }
    const whole = bare ? word.name : `${word.name}=`;
    if (isIgnoredMountOption(whole)) return undefined;
    if (word.name.startsWith('alluxio.')) {
      const place: Place = {
        source: 'mount-option',
        where: `-o ${word.name}`,
        baseDir: this.#cwd,
      };
      return () => this.#commandLineProperty(word.name, word.value ?? '', place);
    }
    return this.#ownMountOption(word);
  }

  #ownMountOption({ name, value }: MountOptionWord): (() => void) | undefined {
    const normal = name.replaceAll('-', '_');
    const positive = optionList.find(({ row }) => mountOptionNames(row).includes(normal));
    const negated = /^no_?(.+)$/.exec(normal)?.[1] ?? '';
    const negative = optionList.find(
      ({ row }) =>
        (isBooleanOption(row) && mountOptionNames(row).includes(negated)) ||
        row.negativeMountOptions?.includes(normal) === true,
    );
    const option = positive ?? negative;
    const where = `-o ${name}`;
    if (option === undefined) {
      const known = optionList.flatMap(({ row }) => mountOptionNames(row));
      this.#problem(name, '-o', undefined, `is not a mount option${didYouMean(normal, known)}`);
      return undefined;
    }
    if (option.row.isSecret === true) {
      this.#refuseSecret(option, where);
      return undefined;
    }
    if (value === undefined && !isBooleanOption(option.row)) {
      const reason = `needs a value: ${option.row.kind.allowed}`;
      this.#problem(option.row.key, where, undefined, reason);
      return undefined;
    }
    if (positive === undefined && value !== undefined) {
      this.#problem(option.row.key, where, value, 'takes no value in its negative form');
      return undefined;
    }
    const text = value ?? (positive === undefined ? 'false' : 'true');
    const place: Place = { source: 'mount-option', where, baseDir: this.#cwd };
    return () => this.#addText(option, text, place, ownDialect);
  }

  #commandLineProperty(name: string, text: string, place: Place): void {
    const option = optionList.find(({ row }) => row.properties?.includes(name));
    if (option === undefined) {
      const known = optionList.flatMap(({ row }) => row.properties ?? []);
      const reason = `is not a property that has a meaning here${didYouMean(name, known)}`;
      this.#problem(name, place.where, undefined, reason);
      return;
    }
    if (option.row.isSecret === true) this.#refuseSecret(option, place.where);
    else this.#addText(option, text, place, alluxioDialect);
  }

  #refuseSecret({ row }: AnyOption, where: string): void {
    const reason = `is not accepted on a command line, which every user can read: use --${row.key}-file, ${environmentName(row)} or a file`;
    this.#problem(row.key, where, HIDDEN, reason);
  }

  #addText(option: AnyOption, text: string, place: Place, dialect: Dialect): void {
    this.add(option.field, { ...place, text, dialect });
  }

  #problem(option: string, where: string, value: string | undefined, reason: string): void {
    this.problems.push({ option, where, value, reason });
  }
}
