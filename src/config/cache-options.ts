/** Rows of the table of options about cache directories. */
import type { OptionTable } from './options.ts';
import type { FreeSpace } from './types.ts';
import { formatSize, parseSize, sizeKind, splitList, ValueError } from './values.ts';
import type { ValueKind } from './values.ts';

const MB = 1024 ** 2;
const GB = 1024 ** 3;
const PB = 1024 ** 5;

const pathsKind: ValueKind<readonly string[]> = {
  placeholder: 'PATH[,PATH...]',
  allowed: 'paths with commas between them, none twice',
  parse(text) {
    const paths = splitList(text);
    if (paths.length === 0 || paths.some((path) => path.includes('\0'))) throw new ValueError();
    if (new Set(paths).size < paths.length) throw new ValueError('names a directory twice');
    return paths;
  },
  format: (paths) => paths.join(','),
};

const freeSpaceKind: ValueKind<FreeSpace> = {
  placeholder: 'SIZE|PERCENT%',
  allowed: 'a size, such as 20GB, or a share from 0% to 99%',
  parse(text) {
    const percent = /^(\d{1,2}(?:\.\d+)?)\s*%$/.exec(text.trim())?.[1];
    return percent === undefined ? { bytes: parseSize(text) } : { percent: Number(percent) };
  },
  format: (space) => ('bytes' in space ? formatSize(space.bytes) : `${space.percent}%`),
};

export const cacheOptions: Pick<OptionTable, 'cacheDirs' | 'cacheLimitBytes' | 'cacheFreeSpace'> = {
  cacheDirs: {
    key: 'cache-dir',
    group: 'Cache',
    kind: pathsKind,
    properties: ['alluxio.user.client.cache.dirs'],
    mountOptions: ['local_data_cache'],
    isRepeatable: true,
    isPath: true,
    fallback: () => undefined,
    defaultText: 'none: files are cached in memory only',
    doc: 'Directories for a cache of file content on local disks, that outlives restarts: best one for each disk. What is read is kept there in the background. A directory is for one mount; it may hold other files, too.',
  },
  cacheLimitBytes: {
    key: 'cache-limit',
    group: 'Cache',
    kind: sizeKind({ min: 16 * MB, max: PB }),
    properties: ['alluxio.user.client.cache.size'],
    mountOptions: ['local_data_cache_size'],
    fallback: () => 10 * GB,
    doc: 'Most bytes in each --cache-dir, its index among them. The files used least lately go first.',
  },
  cacheFreeSpace: {
    key: 'cache-free-space',
    group: 'Cache',
    kind: freeSpaceKind,
    fallback: () => ({ percent: 10 }),
    doc: 'What is left free of the file system of each --cache-dir, whatever --cache-limit says: a size, or a share of it. Where others fill the disk, the cache gets smaller.',
  },
};
