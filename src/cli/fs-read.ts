/** `fs` commands that change nothing. */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { once } from 'node:events';
import { Option, type Command } from 'commander';
import type { EntryType, FileInfo, FindOptions } from '../client/index.ts';
import { parseSize } from '../config/index.ts';
import { EXIT_CODES, UsageError } from './context.ts';
import type { CliContext } from './context.ts';
import { infoLines, jsonText, longLine, printable, sizeText } from './fs-print.ts';
import { onCluster, type Finish, type Session, type Work } from './fs-session.ts';

/** Bytes to a pipe as fast as its reader takes them. */
async function writeOut(chunk: Uint8Array): Promise<void> {
  if (!process.stdout.write(chunk)) await once(process.stdout, 'drain');
}

async function copyOut(
  { fs, signal }: Session,
  path: string,
  part: { readonly offset?: number; readonly length?: number } = {},
): Promise<void> {
  for await (const chunk of await fs.readStream(path, { ...part, signal })) await writeOut(chunk);
}

function size(flag: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  try {
    return parseSize(text);
  } catch {
    throw new UsageError(`${flag}: "${text}" is not a size such as 1MB`);
  }
}

function whole(flag: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new UsageError(`${flag}: "${text}" is not a whole number`);
}

const TYPES: Readonly<Record<string, EntryType>> = { f: 'file', d: 'directory', l: 'symlink' };

export function addReadCommands(group: Command, context: CliContext, finish: Finish): void {
  const ls = group
    .command('ls')
    .summary('list a directory')
    .argument('<paths...>', 'Alluxio paths, or URIs below the root')
    .option('-l, --long', 'with type, size and time')
    .option('-H, --human-readable', 'sizes as 1.5KB')
    .option('-R, --recursive', 'everything below');
  onCluster(ls, context, finish, async (session, paths) => {
    const { fs, signal, json } = session;
    const { long, humanReadable, recursive } = ls.opts<Record<string, boolean | undefined>>();
    const all: FileInfo[] = [];
    let isFirst = true;
    const show = (info: FileInfo, name: string): void => {
      if (json) all.push(info);
      else if (long === true) context.out(longLine(info, name, humanReadable === true));
      else context.out(printable(name));
      isFirst = false;
    };
    const code = await session.each(paths, async (path) => {
      if (recursive === true) {
        for await (const info of fs.find(path, { signal })) show(info, info.path);
        return;
      }
      const found = await fs.ls(path, { signal });
      const [only] = found;
      const mayBeFile = found.length === 1 && only?.type !== 'directory';
      if (json || paths.length === 1) {
        for (const info of found) show(info, info.name);
      } else if (only !== undefined && mayBeFile && !(await fs.isdir(path, { signal }))) {
        show(only, path);
      } else {
        // As ls(1): of several directories, each under its name.
        context.out(`${isFirst ? '' : '\n'}${printable(path)}:`);
        isFirst = false;
        for (const info of found) show(info, info.name);
      }
    });
    if (json) session.print(all, () => []);
    return code;
  });

  for (const name of ['stat', 'info']) {
    const stat = group.command(name).summary('show all that is known of a path').argument('<path>');
    onCluster(stat, context, finish, async (session, [path = '']) => {
      const info = await session.fs.info(path, { signal: session.signal });
      session.print(info, () => infoLines(info));
      return undefined;
    });
  }

  const cat = group.command('cat').summary('print files').argument('<paths...>');
  onCluster(cat, context, finish, (session, paths) =>
    session.each(paths, (path) => copyOut(session, path)),
  );

  for (const name of ['head', 'tail'] as const) {
    const end = group
      .command(name)
      .summary(`print the ${name === 'head' ? 'first' : 'last'} bytes of a file`)
      .argument('<path>')
      .option('-c, --bytes <SIZE>', 'how many', '1KB');
    onCluster(end, context, finish, async (session, [path = '']) => {
      const length = size('--bytes', end.opts<{ bytes: string }>().bytes) ?? 0;
      // From the end on, of nothing, would be all.
      const isTail = name === 'tail' && length > 0;
      await copyOut(session, path, isTail ? { offset: -length } : { length });
      return undefined;
    });
  }

  const test = group
    .command('test')
    .summary('exit with 0 if the path is what was asked, else with 1')
    .argument('<path>')
    .option('-e, --exists', 'exists (also when nothing is asked)')
    .option('-d, --directory', 'is a directory')
    .option('-f, --file', 'is a file')
    .option('-s, --size', 'is a file that is not empty')
    .addHelpText('after', '\nExit codes: 0 yes, 1 no, 2 it could not be told.');
  const answerTest: Work = async (session, [path = '']) => {
    const { directory, file, size: isFull } = test.opts<Record<string, boolean | undefined>>();
    const { fs, signal } = session;
    const found = (await fs.exists(path, { signal })) ? await fs.info(path, { signal }) : undefined;
    const answers = [
      found !== undefined,
      directory !== true || found?.type === 'directory',
      file !== true || found?.type === 'file',
      isFull !== true || (found?.type === 'file' && found.size > 0),
    ];
    const answer = answers.every(Boolean);
    if (session.json) session.print({ path, result: answer }, () => []);
    return answer ? EXIT_CODES.ok : EXIT_CODES.failure;
  };
  onCluster(test, context, finish, answerTest, EXIT_CODES.usage);

  const du = group
    .command('du')
    .summary('bytes and files below a path')
    .argument('<paths...>')
    .option('-H, --human-readable', 'sizes as 1.5KB');
  onCluster(du, context, finish, (session, paths) => {
    const { humanReadable } = du.opts<{ humanReadable?: boolean }>();
    return session.each(paths, async (path) => {
      const usage = await session.fs.du(path, { signal: session.signal });
      const shown = sizeText(usage.size, humanReadable === true);
      session.printOne(usage, () => `${shown}\t${usage.files}\t${printable(usage.path)}`);
    });
  });

  const find = group
    .command('find')
    .summary('list what is below a path, filtered')
    .argument('<path>')
    .option('--name <PATTERN>', 'whose name matches, as in a shell')
    .addOption(new Option('--type <TYPE>', 'files, directories or links').choices(['f', 'd', 'l']))
    .option('--min-size <SIZE>', 'of at least this size')
    .option('--max-size <SIZE>', 'of at most this size')
    .option('--max-depth <NUMBER>', 'so many directories down')
    .option('-l, --long', 'with type, size and time')
    .option('-0, --print0', 'each path followed by a NUL, as bytes: for xargs -0');
  onCluster(find, context, finish, async (session, [path = '']) => {
    const given = find.opts<Record<string, string | undefined> & { long?: boolean }>();
    const { name } = given;
    const type = given['type'] === undefined ? undefined : TYPES[given['type']];
    const options: FindOptions = {
      signal: session.signal,
      name,
      type,
      minSize: size('--min-size', given['minSize']),
      maxSize: size('--max-size', given['maxSize']),
      maxDepth: whole('--max-depth', given['maxDepth']),
    };
    // One object a line: a tree of a million files must not be held for the sake of a bracket.
    for await (const info of session.fs.find(path, options)) {
      if (session.json) context.out(jsonText(info));
      else if (given['print0'] !== undefined) {
        await writeOut(Buffer.concat([info.pathBytes ?? Buffer.from(info.path), Buffer.of(0)]));
      } else if (given.long === true) context.out(longLine(info, info.path, false));
      else context.out(printable(info.path));
    }
    return undefined;
  });

  const location = group
    .command('location')
    .summary('path, under store URI, path in mounts on this machine, and the workers it belongs to')
    .argument('<path>', 'any of the three')
    .option('--count <NUMBER>', 'so many workers', '3');
  onCluster(location, context, finish, async (session, [path = '']) => {
    const count = whole('--count', location.opts<{ count: string }>().count) ?? 1;
    const { client } = session.fs;
    const daemon = await context.loadDaemon();
    const mountpoints = daemon.mountpointsOf(client.nameSpace, session.config);
    const found = await client.location(withoutMountpoint(path, mountpoints), count, {
      signal: session.signal,
    });
    const mountPaths = mountpoints.map((mountpoint) => join(mountpoint, found.path));
    session.print({ ...found, mountPaths }, () => [
      `path: ${printable(found.path)}`,
      `ufs: ${printable(found.ufsPath)}`,
      ...mountPaths.map((mountPath) => `mount: ${printable(mountPath)}`),
      ...found.workers.map(({ id, host, httpPort }) => `worker: ${id} ${host}:${httpPort}`),
    ]);
    return undefined;
  });

  const checksum = group
    .command('checksum')
    .summary('checksum of the bytes of files')
    .argument('<paths...>')
    .addOption(
      new Option('--algorithm <NAME>', 'how')
        .choices(['md5', 'sha1', 'sha256', 'sha512'])
        .default('md5'),
    );
  onCluster(checksum, context, finish, (session, paths) => {
    const { algorithm } = checksum.opts<{ algorithm: string }>();
    return session.each(paths, async (path) => {
      const hash = createHash(algorithm);
      const { signal } = session;
      for await (const chunk of await session.fs.readStream(path, { signal })) hash.update(chunk);
      const digest = hash.digest('hex');
      session.printOne({ path, algorithm, digest }, () => `${digest}  ${printable(path)}`);
    });
  });
}

/** A path in a mount of the same names is the path that it shows. */
function withoutMountpoint(path: string, mountpoints: readonly string[]): string {
  const [mountpoint] = mountpoints
    .filter((at) => path === at || path.startsWith(`${at}/`))
    .sort((a, b) => b.length - a.length);
  return mountpoint === undefined ? path : path.slice(mountpoint.length) || '/';
}
