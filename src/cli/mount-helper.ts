/**
 * mount(8) runs `mount.TYPE SOURCE DIRECTORY [-sfnv] [-N NAMESPACE] [-t TYPE] [-o OPTIONS]` for file
 * systems it does not know. A link /sbin/mount.alluxio to this program makes it such a helper.
 */
import { basename } from 'node:path';
import { withoutAddedWords } from '../config/index.ts';

export function isMountHelper(programPath: string): boolean {
  return basename(programPath).startsWith('mount.');
}

/** As arguments of ours; undefined for a dry run (`mount --fake`), which has nothing to do. */
export function mountHelperArguments(args: readonly string[]): string[] | undefined {
  const translated = ['mount'];
  for (let index = 0; index < args.length; index++) {
    const arg = args[index] ?? '';
    if (/^-[sfnv]+$/.test(arg)) {
      if (arg.includes('f')) return undefined;
      // Sloppy options, no mtab and verbose change nothing here.
    } else if (arg === '-t' || arg === '-N') {
      index++;
    } else if (arg === '-o') {
      const options = withoutAddedWords(args[++index] ?? '');
      if (options !== '') translated.push('-o', options);
    } else {
      translated.push(arg);
    }
  }
  return translated;
}
