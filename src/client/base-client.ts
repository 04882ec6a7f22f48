/** What both faces have in common: how a call begins, and how its failure is told. */
import type { ByteString } from '../base/byte-string.ts';
import type { Connection } from './connection.ts';
import { asAlluxioError } from './errors.ts';
import { alluxioPathOf } from './paths.ts';
import type { Scope } from './scope.ts';
import type { CallOptions, PathLike } from './types.ts';

export abstract class BaseClient {
  /** For the two faces of one connection; not for callers. */
  protected readonly connection: Connection;

  protected constructor(connection: Connection) {
    this.connection = connection;
  }

  /** Ends what is under way, brings what was changed to the cluster, and closes all connections. */
  close(): Promise<void> {
    return this.connection.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  protected async call<T>(
    operation: string,
    given: PathLike,
    options: CallOptions | undefined,
    work: (path: ByteString, scope: Scope) => Promise<T>,
  ): Promise<T> {
    let path: ByteString | undefined;
    let scope: Scope | undefined;
    try {
      path = alluxioPathOf(given, this.connection.mounts);
      scope = this.connection.scope(options);
      scope.signal.throwIfAborted();
      return await work(path, scope);
    } catch (error) {
      throw asAlluxioError(scope?.endOf(error) ?? error, operation, path);
    } finally {
      scope?.end();
    }
  }

  /** The same for what comes in pieces. */
  protected async *stream<T>(
    operation: string,
    given: PathLike,
    options: CallOptions | undefined,
    work: (path: ByteString, scope: Scope) => AsyncIterable<T>,
  ): AsyncGenerator<T, void, undefined> {
    let path: ByteString | undefined;
    let scope: Scope | undefined;
    try {
      path = alluxioPathOf(given, this.connection.mounts);
      scope = this.connection.scope(options);
      scope.signal.throwIfAborted();
      yield* work(path, scope);
    } catch (error) {
      throw asAlluxioError(scope?.endOf(error) ?? error, operation, path);
    } finally {
      scope?.end();
    }
  }
}

/** A client that could not be made ready is nobody's to close. */
export async function closedOnFailure(client: BaseClient, work: Promise<unknown>): Promise<void> {
  try {
    await work;
  } catch (error) {
    await client.close();
    throw error;
  }
}
