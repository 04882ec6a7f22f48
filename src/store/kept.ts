/**
 * Files without a name that somebody has open: their bytes lie under a hidden name, which is in the
 * journal before anything is there, until they are closed or the mount starts anew.
 */
import type { ByteString } from '../base/byte-string.ts';
import { joinPath } from '../base/byte-string.ts';
import type { CallContext, FileVersion } from '../cluster/index.ts';
import { contextFor, waitWithin } from './contexts.ts';
import { isCode, unlessMissing } from './errors.ts';
import type { BoundedWriter } from './cluster-parts.ts';
import type { StoreParts } from './parts.ts';
import { HIDDEN_DIRECTORY, KEPT_DIRECTORY } from './paths.ts';
import { newToken } from './temporaries.ts';
import type { KeptFile } from './types.ts';

const DELETE_TIMEOUT_MS = 30_000;

export function newKeptPath(): ByteString {
  return joinPath(KEPT_DIRECTORY, newToken() as ByteString);
}

export class KeptFiles {
  readonly #parts: StoreParts;
  #hasDirectory = false;

  constructor(parts: StoreParts) {
    this.#parts = parts;
  }

  /** A name that a file of the cluster may move to. */
  async announce(context: CallContext): Promise<ByteString> {
    await this.#makeDirectory(context);
    const path = newKeptPath();
    await this.#parts.journal.apply([{ kind: 'kept', id: path, value: {} }]);
    return path;
  }

  /** Nothing has come there. */
  async revoke(path: ByteString): Promise<void> {
    await this.#parts.journal.apply([{ kind: 'kept', id: path }]);
  }

  /** Of a file that goes on having its name for a while. The caller holds its lock. */
  async copy(from: ByteString, context: CallContext): Promise<KeptFile> {
    const path = await this.announce(context);
    try {
      await this.#parts.trees.copyFile(from, path, context);
      return { path, version: await this.versionOf(path, context) };
    } catch (error) {
      void this.#remove(path);
      throw error;
    }
  }

  versionOf(path: ByteString, context: CallContext): Promise<FileVersion> {
    return this.#parts.reader.stat(path, context);
  }

  /** Nobody was told of it. */
  discard(kept: KeptFile): void {
    void this.#remove(kept.path);
  }

  async remove(path: ByteString, context: CallContext): Promise<void> {
    if (await this.#parts.writeBack.removeKept(path)) return;
    await waitWithin(this.#remove(path), context, 'removing a file that was kept');
  }

  #remove(path: ByteString): Promise<unknown> {
    const { background, writer, journal } = this.#parts;
    return background.untilDone('Removing a file that was kept', async () => {
      await unlessMissing(writer.deleteFile(path, contextFor(DELETE_TIMEOUT_MS, background.stop)));
      await journal.apply([{ kind: 'kept', id: path }]);
    });
  }

  async #makeDirectory(context: CallContext): Promise<void> {
    if (this.#hasDirectory) return;
    await makeHiddenDirectory(this.#parts.writer, context);
    await madeOrThere(this.#parts.writer.makeDirectory(KEPT_DIRECTORY, context));
    this.#hasDirectory = true;
  }
}

/** What belongs to the root lies below it: nothing that is put there makes it. */
export async function makeHiddenDirectory(
  writer: Pick<BoundedWriter, 'makeDirectory'>,
  context: CallContext,
): Promise<void> {
  await madeOrThere(writer.makeDirectory(HIDDEN_DIRECTORY, context));
}

async function madeOrThere(making: Promise<unknown>): Promise<void> {
  try {
    await making;
  } catch (error) {
    if (!isCode(error, 'exists')) throw error;
  }
}
