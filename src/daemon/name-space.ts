/** The name space that a mount shows: over the cluster, what programs set beside it and have written. */
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { ByteString } from '../base/byte-string.ts';
import { makePrivateDirectory } from '../base/private-directory.ts';
import { systemClock } from '../base/clock.ts';
import type { Logger } from '../base/logger.ts';
import type { ClusterClient, ClusterWriter, MountTable } from '../cluster/index.ts';
import type { MountConfig } from '../config/index.ts';
import { openReadView, openStore } from '../store/index.ts';
import type { ClusterStore, WritableStore } from '../store/index.ts';
import { journalDirectory, stagingDirectory } from './staging-area.ts';

const ROOT = '/' as ByteString;

export interface NameSpaceParts {
  readonly config: MountConfig;
  readonly client: ClusterClient;
  readonly mounts: MountTable;
  readonly writer: ClusterWriter;
  readonly logger: Logger;
  /** A staging file that the store was given is gone. */
  readonly onStagingReleased: (stagingName: string) => void;
}

export interface NameSpace {
  readonly files: Pick<WritableStore, 'stat' | 'list' | 'unheardMs' | 'read'>;
  /** Undefined: the mount is read-only. */
  readonly writes: ClusterStore | undefined;
}

/** What the last life staged and had acknowledged to nobody: the programs have been told. */
function removeLeftovers(staging: string, inUse: ReadonlySet<string>): void {
  for (const name of readdirSync(staging)) {
    if (!inUse.has(name)) rmSync(join(staging, name), { force: true });
  }
}

export async function openNameSpace(parts: NameSpaceParts): Promise<NameSpace> {
  const { config, client, writer, logger, onStagingReleased } = parts;
  const common = {
    reader: client,
    clock: systemClock,
    logger,
    attributesTtlMs: config.attrTimeoutMs,
  };
  if (config.pathRules !== undefined && config.posixAttributes === 'on') {
    throw new Error(
      '--posix-attributes on is not possible with --path-rules: they lie beside the real names',
    );
  }
  if (config.readOnly) {
    const view = openReadView({ ...common, hasAttributes: config.posixAttributes === 'on' });
    return {
      files: {
        stat: async (path, context) => await view.stat(path, context),
        list: (path, context) => view.list(path, context),
        unheardMs: () => 0,
        read: async (request, sink, context) => await client.read(request, sink, context),
      },
      writes: undefined,
    };
  }
  const { mounts } = parts;
  if (config.pathRules !== undefined) {
    throw new Error(
      'With --path-rules names are only read, since several may lead to one file: add --read-only',
    );
  }
  if (mounts.resolve(ROOT) === undefined) {
    // Files that are removed while they are open, and the owners of what lies there, have no place.
    throw new Error(
      'A cluster without an under store mounted at / can only be mounted with --read-only; ' +
        'the command line and the library change its files',
    );
  }
  const [state, staging] = [journalDirectory(config), stagingDirectory(config)];
  try {
    for (const directory of [state, staging]) makePrivateDirectory(directory);
  } catch (error) {
    const { message } = error as Error;
    throw new Error(`No directory for --staging-dir (${message}); give another, or --read-only`, {
      cause: error,
    });
  }
  const { uid, gid, fileMode, dirMode } = config;
  const store = await openStore({
    ...common,
    writer,
    stateDirectory: state,
    stagingDirectory: staging,
    writeMode: config.writeMode,
    mounts,
    defaults: { uid, gid, fileMode, directoryMode: dirMode },
    onStagingReleased,
  });
  removeLeftovers(staging, store.stagingNamesInUse());
  return { files: store, writes: store };
}
