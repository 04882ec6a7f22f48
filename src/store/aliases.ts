/**
 * An acknowledged file has a version of our own making, `staged-<id>`, until the cluster has it, and then
 * the cluster's. For those who know the first one it stays valid: it is read as the second, and the
 * status of the path goes on telling it while the cluster's version is the one that was uploaded.
 */
import type { ByteString } from '../base/byte-string.ts';
import type { FileVersion } from '../cluster/index.ts';
import type { AliasEntry } from './journal-entries.ts';
import type { Journal, JournalChange } from './journal.ts';
import type { NodeStatus } from './types.ts';

/**
 * The oldest is given up beyond it: a file still open since so many uploads ago looks changed then.
 * Some 200 bytes each, in memory and in the journal.
 */
const ALIASES_MAX = 10_000;
const PREFIX = 'staged-';

export function stagedHash(id: string): string {
  return PREFIX + id;
}

export function stagedIdOf(version: FileVersion): string | undefined {
  const hash = version.contentHash;
  return hash?.startsWith(PREFIX) === true ? hash.slice(PREFIX.length) : undefined;
}

export class Aliases {
  readonly #byId = new Map<string, AliasEntry>();
  readonly #idOfPath = new Map<ByteString, string>();

  constructor(journal: Journal) {
    for (const [id, alias] of journal.entries('alias')) this.note(id, alias);
  }

  get(id: string): AliasEntry | undefined {
    return this.#byId.get(id);
  }

  /** What the journal must say when the alias is noted; includes what it replaces. */
  changesFor(id: string, alias: AliasEntry): JournalChange[] {
    const changes: JournalChange[] = [{ kind: 'alias', id, value: alias }];
    const before = this.#idOfPath.get(alias.path);
    if (before !== undefined) changes.push({ kind: 'alias', id: before });
    const [oldest] = this.#byId.keys();
    if (oldest !== undefined && this.#byId.size >= ALIASES_MAX) {
      changes.push({ kind: 'alias', id: oldest });
    }
    return changes;
  }

  note(id: string, alias: AliasEntry): void {
    const before = this.#idOfPath.get(alias.path);
    if (before !== undefined) this.#byId.delete(before);
    this.#byId.set(id, alias);
    this.#idOfPath.set(alias.path, id);
    for (const [oldest, { path }] of this.#byId) {
      if (this.#byId.size <= ALIASES_MAX) break;
      this.#byId.delete(oldest);
      if (this.#idOfPath.get(path) === oldest) this.#idOfPath.delete(path);
    }
  }

  /** The status under the version that this mount told first. */
  present(path: ByteString, status: NodeStatus): NodeStatus {
    const id = this.#idOfPath.get(path);
    const alias = id === undefined ? undefined : this.#byId.get(id);
    if (id === undefined || alias === undefined || status.kind !== 'file') return status;
    const { version } = alias;
    const isIt =
      status.lengthBytes === version.lengthBytes &&
      status.mtimeMs === version.mtimeMs &&
      // Not every way to ask tells a hash.
      (status.contentHash === undefined ||
        version.contentHash === undefined ||
        status.contentHash === version.contentHash);
    if (!isIt) return status;
    return { ...status, mtimeMs: alias.stagedMtimeMs, contentHash: stagedHash(id) };
  }

  /** The version as the cluster has it. */
  resolve(version: FileVersion): FileVersion {
    const id = stagedIdOf(version);
    return (id === undefined ? undefined : this.#byId.get(id)?.version) ?? version;
  }
}
