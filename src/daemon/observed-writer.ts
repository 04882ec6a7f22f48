/** The cluster's writer, with figures of what it uploads. */
import type { ByteString } from '../base/byte-string.ts';
import { ClusterError } from '../cluster/index.ts';
import type { ClusterWriter } from '../cluster/index.ts';
import type { Metrics } from '../telemetry/index.ts';

export interface UploadFigures {
  readonly active: number;
  readonly succeeded: number;
  readonly failed: number;
  /** Of all attempts, as far as they came: while this grows, something moves. */
  readonly sentBytes: number;
}

type PutFile = ClusterWriter['putFile'];
type FinishUpload = ClusterWriter['finishUpload'];

export class ObservedWriter implements ClusterWriter {
  readonly #writer: ClusterWriter;
  readonly #metrics: Metrics;
  #active = 0;
  #succeeded = 0;
  #failed = 0;
  #sentBytes = 0;

  constructor(writer: ClusterWriter, metrics: Metrics) {
    this.#writer = writer;
    this.#metrics = metrics;
    metrics.readAtScrape('uploadsActive', () => [{ labels: {}, value: this.#active }]);
    metrics.readAtScrape('uploadedBytes', () => [{ labels: {}, value: this.#sentBytes }]);
  }

  figures(): UploadFigures {
    return {
      active: this.#active,
      succeeded: this.#succeeded,
      failed: this.#failed,
      sentBytes: this.#sentBytes,
    };
  }

  putFile(...[path, source, context]: Parameters<PutFile>): ReturnType<PutFile> {
    const note = (bytes: number): void => {
      this.#sentBytes += bytes;
    };
    const counted = {
      lengthBytes: source.lengthBytes,
      async *open() {
        for await (const chunk of source.open()) {
          note(chunk.length);
          yield chunk;
        }
      },
    };
    return this.#timed(() => this.#writer.putFile(path, counted, context));
  }

  finishUpload(...args: Parameters<FinishUpload>): ReturnType<FinishUpload> {
    return this.#timed(() => this.#writer.finishUpload(...args));
  }

  async #timed<Result>(upload: () => Promise<Result>): Promise<Result> {
    const startedMs = performance.now();
    this.#active++;
    let outcome = 'ok';
    try {
      return await upload();
    } catch (error) {
      outcome = error instanceof ClusterError ? error.code : 'internal';
      throw error;
    } finally {
      this.#active--;
      if (outcome === 'ok') this.#succeeded++;
      else this.#failed++;
      const seconds = (performance.now() - startedMs) / 1000;
      this.#metrics.count('uploads', { outcome });
      this.#metrics.observe('uploadSeconds', { success: String(outcome === 'ok') }, seconds);
    }
  }

  temporaryPathFor(path: ByteString, token: string): ByteString {
    return this.#writer.temporaryPathFor(path, token);
  }

  removeTemporary(...args: Parameters<ClusterWriter['removeTemporary']>): Promise<void> {
    return this.#writer.removeTemporary(...args);
  }

  deleteFile(...args: Parameters<ClusterWriter['deleteFile']>): Promise<void> {
    return this.#writer.deleteFile(...args);
  }

  makeDirectory(
    ...args: Parameters<ClusterWriter['makeDirectory']>
  ): ReturnType<ClusterWriter['makeDirectory']> {
    return this.#writer.makeDirectory(...args);
  }

  removeDirectory(...args: Parameters<ClusterWriter['removeDirectory']>): Promise<void> {
    return this.#writer.removeDirectory(...args);
  }

  renameFile(
    ...args: Parameters<ClusterWriter['renameFile']>
  ): ReturnType<ClusterWriter['renameFile']> {
    return this.#writer.renameFile(...args);
  }

  copyFile(...args: Parameters<ClusterWriter['copyFile']>): ReturnType<ClusterWriter['copyFile']> {
    return this.#writer.copyFile(...args);
  }

  statStored(
    ...args: Parameters<ClusterWriter['statStored']>
  ): ReturnType<ClusterWriter['statStored']> {
    return this.#writer.statStored(...args);
  }

  tellWorkers(...args: Parameters<ClusterWriter['tellWorkers']>): Promise<void> {
    return this.#writer.tellWorkers(...args);
  }

  listingOldSinceMs(directory: ByteString): number | undefined {
    return this.#writer.listingOldSinceMs(directory);
  }

  renewListing(directory: ByteString): void {
    this.#writer.renewListing(directory);
  }

  canRename(...args: Parameters<ClusterWriter['canRename']>): Promise<boolean> {
    return this.#writer.canRename(...args);
  }
}
