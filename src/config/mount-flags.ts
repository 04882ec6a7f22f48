/**
 * Words of the fourth field of fstab and of `-o` that are not options of ours: those that mount(8)
 * and systemd act upon themselves, those for the kernel, and those of libfuse that make no
 * difference here.
 */

/** Handled by mount(8), systemd or libfuse's own programs: accepted and ignored. */
const IGNORED = [
  '_netdev',
  'nofail',
  'fail',
  'auto',
  'noauto',
  'user',
  'nouser',
  'users',
  'owner',
  'group',
  'defaults',
  'auto_unmount',
  'nonempty',
  'big_writes',
  'kernel_cache',
  'auto_cache',
  'async_read',
] as const;

const IGNORED_PREFIXES = ['x-', 'comment='] as const;

/** Kernel flags by word; words of one group exclude each other, the last one given wins. */
const KERNEL_FLAG_GROUPS: readonly (readonly string[])[] = [
  ['suid', 'nosuid'],
  ['dev', 'nodev'],
  ['exec', 'noexec'],
  ['atime', 'noatime'],
  ['relatime', 'norelatime'],
  ['strictatime', 'nostrictatime'],
  ['diratime', 'nodiratime'],
  ['lazytime', 'nolazytime'],
  ['sync', 'async'],
  ['dirsync'],
];

/** A name space served over the network must not bring set-uid programs or devices by default. */
const DEFAULT_FLAGS: readonly string[] = ['nosuid', 'nodev'];

export function isIgnoredMountOption(word: string): boolean {
  return (
    IGNORED.some((ignored) => ignored === word) ||
    IGNORED_PREFIXES.some((prefix) => word.startsWith(prefix))
  );
}

export function isKernelFlag(word: string): boolean {
  return KERNEL_FLAG_GROUPS.some((group) => group.includes(word));
}

/** The flags to mount with: the defaults, changed by the given words in their order. */
export function mountFlags(words: readonly string[]): string[] {
  let flags = [...DEFAULT_FLAGS];
  for (const word of words) {
    const group = KERNEL_FLAG_GROUPS.find((candidate) => candidate.includes(word)) ?? [];
    flags = [...flags.filter((flag) => !group.includes(flag)), word];
  }
  return flags;
}

export interface MountOptionWord {
  readonly name: string;
  /** Undefined for a bare word. */
  readonly value: string | undefined;
}

/** Parts `a,b=c\,d` as libfuse does: a backslash makes the next character ordinary. */
export function parseMountOptions(text: string): MountOptionWord[] {
  const words: string[] = [''];
  for (let index = 0; index < text.length; index++) {
    const char = text[index] ?? '';
    if (char === ',') words.push('');
    else if (char === '\\' && index + 1 < text.length) words.push(`${words.pop()}${text[++index]}`);
    else words.push(`${words.pop()}${char}`);
  }
  return words
    .filter((word) => word.trim() !== '')
    .map((word) => {
      const equals = word.indexOf('=');
      if (equals < 0) return { name: word.trim(), value: undefined };
      return { name: word.slice(0, equals).trim(), value: word.slice(equals + 1) };
    });
}

/**
 * mount(8) hands "rw" to every helper, asked for or not, so there it says nothing: the other sources
 * and the default decide. Asked for at our own command line it is meant.
 */
export function withoutAddedWords(text: string): string {
  return formatMountOptions(
    parseMountOptions(text).filter(({ name, value }) => name !== 'rw' || value !== undefined),
  );
}

export function formatMountOptions(words: readonly MountOptionWord[]): string {
  return words
    .map(({ name, value }) => (value === undefined ? name : `${name}=${value}`))
    .map((word) => word.replace(/[\\,]/g, '\\$&'))
    .join(',');
}

export const ignoredMountOptions: readonly string[] = [...IGNORED, 'x-*', 'comment=*'];
export const kernelMountFlags: readonly string[] = KERNEL_FLAG_GROUPS.flat();
export const defaultMountFlags: readonly string[] = DEFAULT_FLAGS;
