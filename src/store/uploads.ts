/** A file's new content on its way: to the cluster before the answer, or to the journal first. */
import type { ByteString } from '../base/byte-string.ts';
import type {
  ByteSink,
  CallContext,
  FileStatus,
  FileVersion,
  ReadRequest,
  ReadResult,
} from '../cluster/index.ts';
import { isSameVersion } from '../cluster/path-choice.ts';
import { isSameRecord } from './attribute-json.ts';
import type { AttributeRecord } from './attribute-record.ts';
import { changedRecord, versionSubject } from './attribute-record.ts';
import type { AttributeView } from './attribute-store.ts';
import type { FileContent, StoreReader } from './cluster-parts.ts';
import { atMost, waitWithin } from './contexts.ts';
import type { ComposedContent } from './content.ts';
import { lengthOf, StagedContent } from './content.ts';
import { isCode, localError, storeError, unlessMissing } from './errors.ts';
import type { StoreParts } from './parts.ts';
import { recordPlaceOf } from './paths.ts';
import { newToken } from './temporaries.ts';
import type { AttributeChange, NodeStatus, Upload, UploadSegment } from './types.ts';
import { nodeOf } from './view.ts';
import type { PendingUpload } from './write-back.ts';
import { pendingStatus } from './write-back.ts';

/** A program that closes a file does not wait for a cluster that takes longer to say what was there. */
const ASK_MS = 2000;

type Read = (request: ReadRequest, sink: ByteSink, context: CallContext) => Promise<ReadResult>;

export class Uploads {
  readonly #parts: StoreParts;
  readonly #reader: StoreReader;
  readonly #read: Read;
  readonly #isBack: boolean;

  constructor(parts: StoreParts, reader: StoreReader, read: Read, isBack: boolean) {
    this.#parts = parts;
    this.#reader = reader;
    this.#read = read;
    this.#isBack = isBack;
  }

  async upload(upload: Upload, context: CallContext): Promise<NodeStatus> {
    if (!upload.isHandedOver) return this.#through(upload, context);
    const acknowledged = this.#isBack ? await this.#acknowledge(upload, context) : undefined;
    const status = acknowledged ?? (await this.#through(upload, context));
    // After a failure it stays the caller's, who may try again.
    if (acknowledged === undefined) await this.#parts.staging.remove(upload.stagingName);
    return status;
  }

  /** Nothing of it is staged: the bytes come from wherever the caller has them. */
  async put(
    path: ByteString,
    content: FileContent,
    attributes: AttributeChange,
    context: CallContext,
    onDone: () => Promise<void>,
  ): Promise<NodeStatus> {
    const put = (): Promise<FileStatus> => this.#parts.temporaries.put(path, content, context);
    const status = await this.#putThrough({ path, attributes }, put, context);
    await onDone();
    return status;
  }

  #contentOf({ path, stagingName, segments, base }: Upload): ComposedContent {
    return {
      assertBase: async (context) => {
        // What was kept of a removed file is ours alone.
        if (base === undefined || base.path !== path) return;
        await this.#mustBeCurrent(path, base.version, context);
      },
      stagingPath: this.#parts.staging.pathOf(stagingName),
      segments,
      readBase: async (offset, into, context) => {
        if (base === undefined) throw storeError('invalid', 'An upload without its base version');
        const request = { ...base, offset, lengthBytes: into.length };
        await this.#read(request, (chunk, at) => into.set(chunk, at), context);
      },
    };
  }

  async #mustBeCurrent(
    path: ByteString,
    version: FileVersion,
    context: CallContext,
  ): Promise<void> {
    const { temporaries, view, writer, writeBack, aliases } = this.#parts;
    // An acknowledged version is whole, whatever became of its upload.
    const isAcknowledged = writeBack.newest(path) !== undefined;
    if (!isAcknowledged && temporaries.isUnfinished(path)) {
      throw storeError('unavailable', 'The file is being repaired after a failed upload', path);
    }
    const now = await unlessMissing(view.stat(path, context));
    if (now !== undefined && isSameVersion(now, version)) return;
    // Giving up is final, and one worker may remember what was there before: the store knows better.
    const stored = await writer.statStored(path, context);
    if (stored !== undefined && isSameVersion(stored, aliases.resolve(version))) return;
    throw storeError('version-changed', 'Another client changed the file meanwhile', path);
  }

  async #complete(upload: Upload, context: CallContext): Promise<readonly UploadSegment[]> {
    const content = this.#contentOf(upload);
    const segments = await this.#parts.staging.complete(content, context);
    await content.assertBase(context);
    return segments;
  }

  #through(upload: Upload, context: CallContext): Promise<NodeStatus> {
    const content = new StagedContent(this.#contentOf(upload), context);
    const put = (): Promise<FileStatus> => this.#put(upload.path, content, context);
    return this.#putThrough(upload, put, context);
  }

  async #putThrough(
    upload: Pick<Upload, 'path' | 'attributes'>,
    put: () => Promise<FileStatus>,
    context: CallContext,
  ): Promise<NodeStatus> {
    const { writeBack, locks, attributes, defaults } = this.#parts;
    const { path } = upload;
    // What is on its way is older than this.
    writeBack.interrupt(path);
    const release = await locks.acquire('change', [{ path }], context);
    try {
      const { directory, name } = recordPlaceOf(path);
      const view = await attributes.load(directory, context);
      // What a record says of a file that is gone does not hold for the next one of its name.
      const isGone =
        view.get(name) !== undefined &&
        writeBack.newest(path) === undefined &&
        (await unlessMissing(this.#reader.stat(path, context))) === undefined;
      const old = isGone ? undefined : view.get(name);
      await this.#recordFirst(upload, old, view.get(name));
      const status = await put();
      const recorded = view.get(name);
      const before = this.#recordNow(path, isGone ? undefined : recorded);
      const record = changedRecord(before, upload.attributes, versionSubject(status), defaults);
      const cancelled = writeBack.planCancel(path);
      const updates = isSameRecord(recorded, record) ? [] : [{ path, record }];
      await attributes.change(updates, cancelled.changes);
      cancelled.commit();
      return nodeOf(status, record);
    } finally {
      release();
    }
  }

  /** Of an acknowledged file its own record, also where it is none. */
  #recordNow(path: ByteString, recorded: AttributeRecord | undefined): AttributeRecord | undefined {
    const pending = this.#parts.writeBack.newest(path);
    return pending === undefined ? recorded : pending.record;
  }

  /**
   * A file that nobody else may read must not be readable for a moment, or for ever after a crash: who
   * may do what is recorded before the bytes are there.
   */
  async #recordFirst(
    upload: Pick<Upload, 'path' | 'attributes'>,
    old: AttributeRecord | undefined,
    recorded: AttributeRecord | undefined,
  ): Promise<void> {
    const { atimeMs: _a, mtimeMs: _m, ctimeMs: _c, ...permissions } = upload.attributes;
    const { timesOf } = old ?? {};
    // Its times go on holding for the version that they were set for.
    const subject = versionSubject(timesOf ?? { lengthBytes: -1, mtimeMs: -1 });
    const record = changedRecord(old, permissions, subject, this.#parts.defaults);
    if (isSameRecord(recorded, record)) return;
    this.#parts.attributes.assertRoom({ path: upload.path, record });
    await this.#parts.attributes.change([{ path: upload.path, record }]);
  }

  async #put(path: ByteString, content: StagedContent, context: CallContext): Promise<FileStatus> {
    try {
      return await this.#parts.temporaries.put(path, content, context);
    } catch (error) {
      // The reason why the bytes ran dry says more than the request that they were missing from.
      throw content.failure ?? error;
    }
  }

  /** A cluster that is away is not waited for: what was known last holds, where anything was. */
  async #attributesSoon(directory: ByteString, context: CallContext): Promise<AttributeView> {
    const { attributes } = this.#parts;
    const loading = attributes.load(directory, context);
    try {
      return await waitWithin(loading, atMost(ASK_MS, context), 'reading attributes');
    } catch {
      return attributes.known(directory) ?? loading;
    }
  }

  /** For certain. */
  async #isMissingSoon(path: ByteString, context: CallContext): Promise<boolean> {
    const asking = unlessMissing(this.#reader.stat(path, context));
    try {
      return (await waitWithin(asking, atMost(ASK_MS, context), 'asking for a file')) === undefined;
    } catch {
      return false;
    }
  }

  /** Undefined: this disk has no room for it; the cluster may. */
  async #acknowledge(upload: Upload, context: CallContext): Promise<NodeStatus | undefined> {
    const { locks, writeBack, attributes, defaults } = this.#parts;
    const { path, stagingName } = upload;
    const release = await locks.acquire('acknowledge', [{ path }], context);
    try {
      const { directory, name } = recordPlaceOf(path);
      // An older version may arrive in the cluster while the answers travel.
      const wasPending = writeBack.newest(path) !== undefined;
      const work = [
        this.#complete(upload, context),
        this.#attributesSoon(directory, context),
        this.#isMissingSoon(path, context),
      ] as const;
      // After a failure the program writes on: nothing may still be filling its staging file then.
      await Promise.allSettled(work);
      const [segments, view, isMissing] = await Promise.all(work);
      const isNew = isMissing && !wasPending;
      const mtimeMs = Date.now();
      const lengthBytes = lengthOf(segments);
      const subject = versionSubject({ lengthBytes, mtimeMs });
      const before = this.#recordNow(path, isNew ? undefined : view.get(name));
      const record = changedRecord(before, upload.attributes, subject, defaults);
      if (!isSameRecord(view.get(name), record)) attributes.assertRoom({ path, record });
      const pending: PendingUpload = {
        id: newToken(),
        path,
        stagingName,
        segments,
        lengthBytes,
        mtimeMs,
        sinceMs: mtimeMs,
        record,
        isNew,
      };
      await writeBack.acknowledge(pending);
      return pendingStatus(pending);
    } catch (error) {
      const failure = localError('The staging file cannot be completed', error);
      if (isCode(failure, 'no-space')) return undefined;
      throw failure;
    } finally {
      release();
    }
  }
}
