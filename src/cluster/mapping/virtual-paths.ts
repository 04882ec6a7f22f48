/**
 * A cluster seen through path rules: what programs name is turned into the path that the cluster has.
 * Several names may lead to one file, so this is for reading: a change by one name would be news to the
 * caches of the others.
 */
import { nameOf } from '../../base/byte-string.ts';
import type { ByteString } from '../../base/byte-string.ts';
import type {
  ClusterClient,
  ClusterStatus,
  PathLocation,
  ReadRequest,
  ReadResult,
} from '../cluster-client.ts';
import type { ByteSink, CallContext, FileStatus } from '../types.ts';
import { ClusterError } from '../types.ts';
import { normaliseAlluxioPath } from '../ufs-path.ts';
import type { PathRules } from './path-rules.ts';
import { ShownDirectories } from './shown-directories.ts';

/** What mounts keep for themselves is known by its real name, and by no other. */
const isOurs = (path: string): boolean => path.includes('/.alluxio-fuse');

export class VirtualPaths implements ClusterClient {
  readonly #cluster: ClusterClient;
  readonly #rules: PathRules;
  readonly #directories: ShownDirectories;

  /** Takes over the cluster: `close` closes it. */
  constructor(cluster: ClusterClient, rules: PathRules) {
    this.#cluster = cluster;
    this.#rules = rules;
    this.#directories = new ShownDirectories(rules.directories);
  }

  async stat(path: ByteString, context: CallContext): Promise<FileStatus> {
    const normal = normaliseAlluxioPath(path);
    const status = await this.#directories.stat(normal, () =>
      this.#cluster.stat(this.#real(normal), context),
    );
    return { ...status, name: nameOf(normal) };
  }

  list(path: ByteString, context: CallContext): AsyncIterable<FileStatus[]> {
    const normal = normaliseAlluxioPath(path);
    return this.#directories.list(normal, () => this.#list(normal, context));
  }

  async *#list(normal: ByteString, context: CallContext): AsyncGenerator<FileStatus[]> {
    const real = this.#real(normal);
    for await (const batch of this.#cluster.list(real, context)) {
      yield real === normal ? batch : batch.filter(({ name }) => !isOurs(`/${name}`));
    }
  }

  async read(request: ReadRequest, sink: ByteSink, context: CallContext): Promise<ReadResult> {
    return this.#cluster.read(
      { ...request, path: this.#real(normaliseAlluxioPath(request.path)) },
      sink,
      context,
    );
  }

  async locate(path: ByteString, count: number, context: CallContext): Promise<PathLocation> {
    const normal = normaliseAlluxioPath(path);
    try {
      return await this.#cluster.locate(this.#real(normal), count, context);
    } catch (error) {
      const isNowhere = error instanceof ClusterError && error.code === 'not-found';
      if (isNowhere && this.#directories.has(normal))
        return { ufsPath: '' as ByteString, workers: [] };
      throw error;
    }
  }

  status(): ClusterStatus {
    return this.#cluster.status();
  }

  close(): Promise<void> {
    return this.#cluster.close();
  }

  #real(normal: ByteString): ByteString {
    try {
      const real = this.#rules.apply(normal);
      if (real === normal || !isOurs(`${normal}${real}`)) return real;
      throw new ClusterError('not-found', 'The name is kept for the mount itself', {
        path: normal,
      });
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      throw new ClusterError('invalid', error.message, { path: normal, cause: error });
    }
  }
}
