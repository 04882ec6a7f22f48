/** Staging files that the store has taken over: made safe on disk, completed, given back. */
import { open, rm } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from '../base/logger.ts';
import { SharedRuns } from '../base/shared-runs.ts';
import type { CallContext } from '../cluster/index.ts';
import type { ComposedContent } from './content.ts';
import { messageOf } from './errors.ts';
import type { UploadSegment } from './types.ts';

/** Twice as much as a range read from the cluster is worth. */
const CHUNK_BYTES = 4 * 1024 * 1024;

export class Staging {
  readonly #directory: string;
  readonly #onReleased: ((stagingName: string) => void) | undefined;
  readonly #logger: Logger;
  readonly #syncs = new SharedRuns<string>();

  constructor(
    directory: string,
    logger: Logger,
    onReleased: ((stagingName: string) => void) | undefined,
  ) {
    this.#directory = directory;
    this.#logger = logger;
    this.#onReleased = onReleased;
  }

  pathOf(stagingName: string): string {
    return join(this.#directory, stagingName);
  }

  async remove(stagingName: string): Promise<void> {
    try {
      await rm(this.pathOf(stagingName), { force: true });
    } catch (error) {
      this.#logger.error({ reason: messageOf(error), stagingName }, 'A staging file stays behind');
    }
    this.#onReleased?.(stagingName);
  }

  async has(stagingName: string): Promise<boolean> {
    try {
      await (await open(this.pathOf(stagingName), 'r')).close();
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
      throw error;
    }
  }

  /**
   * Everything that the file will hold is on this disk, and stays there in a power failure: what is
   * acknowledged must not depend on a base version that others may replace.
   */
  async complete(content: ComposedContent, context: CallContext): Promise<UploadSegment[]> {
    const file = await open(content.stagingPath, 'r+');
    try {
      const segments: UploadSegment[] = [];
      let offset = 0;
      for (const { from, lengthBytes } of content.segments) {
        const end = offset + lengthBytes;
        if (from === 'base') await this.#fetch(content, file, offset, end, context);
        offset = end;
        segments.push({ from: from === 'zero' ? 'zero' : 'staging', lengthBytes });
      }
      // The name on this disk is as old as the file: its directory need not wait for the bytes.
      await Promise.all([file.datasync(), this.#syncDirectory()]);
      return segments;
    } finally {
      await file.close();
    }
  }

  #syncDirectory(): Promise<void> {
    return this.#syncs.run(this.#directory, async () => {
      const directory = await open(this.#directory, 'r');
      try {
        await directory.sync();
      } finally {
        await directory.close();
      }
    });
  }

  async #fetch(
    content: ComposedContent,
    file: FileHandle,
    start: number,
    end: number,
    context: CallContext,
  ): Promise<void> {
    for (let offset = start; offset < end; offset += CHUNK_BYTES) {
      const bytes = Buffer.alloc(Math.min(CHUNK_BYTES, end - offset));
      await content.readBase(offset, bytes, context);
      for (let done = 0; done < bytes.length;) {
        const left = bytes.length - done;
        done += (await file.write(bytes, done, left, offset + done)).bytesWritten;
      }
    }
  }
}
