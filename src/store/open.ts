import type { ByteString } from '../base/byte-string.ts';
import type { CallContext } from '../cluster/index.ts';
import { AttributeCache } from './attribute-cache.ts';
import type { AttributeView } from './attribute-store.ts';
import type { ReadViewOptions, StoreOptions } from './options.ts';
import { DEFAULT_TUNING } from './options.ts';
import { openParts } from './parts.ts';
import { ClusterStore } from './store.ts';
import type { AttributeSource } from './view.ts';
import { NameSpaceView, noOverlay } from './view.ts';

/**
 * Takes up what the last life of the mount left. Waits for the cluster no longer than some seconds, and
 * only where something was cut short.
 */
export async function openStore(options: StoreOptions): Promise<ClusterStore> {
  const parts = await openParts(options);
  return new ClusterStore(parts, options.reader, options.writeMode);
}

/** The name space of a mount that changes nothing: no journal, no writes. */
export function openReadView(options: ReadViewOptions): NameSpaceView {
  const { reader, clock, logger, hasAttributes = true } = options;
  const tuning = { ...DEFAULT_TUNING, ...options.tuning };
  const nothing: AttributeView = { get: () => undefined, entries: () => [] };
  const cache = new AttributeCache({
    reader,
    clock,
    logger,
    ttlMs: options.attributesTtlMs,
    maxRecords: tuning.attributeRecordsMax,
  });
  const stored = async (directory: ByteString, context: CallContext): Promise<AttributeView> => {
    const { records } = await cache.load(directory, context);
    return { get: (name) => records.get(name), entries: () => records };
  };
  const source: AttributeSource = {
    load: hasAttributes ? stored : () => Promise.resolve(nothing),
  };
  return new NameSpaceView(reader, source, noOverlay);
}
