/**
 * One connection to etcd: a range read and a watch that only says "something changed". It is thrown
 * away after the first trouble and a new one is made: the reconnecting, retrying and revision
 * keeping inside etcd3 is not relied on, so that nothing in it can hang or loop on our account.
 */
import { Etcd3, EtcdAuthenticationFailedError, EtcdPermissionDeniedError } from 'etcd3';
import type { IOptions, Watcher } from 'etcd3';

export interface EtcdSourceOptions {
  /** `http://host:port`, `https://host:port` or `host:port`. */
  readonly endpoints: readonly string[];
  readonly auth?: { readonly username: string; readonly password: string } | undefined;
  readonly tls?:
    | {
        readonly ca: Buffer;
        readonly certificate?: Buffer | undefined;
        readonly key?: Buffer | undefined;
      }
    | undefined;
  readonly requestTimeoutMs: number;
}

export interface RangeAnswer {
  /** Raw values by key; at most `limit`. */
  readonly entries: readonly { readonly key: string; readonly value: Buffer }[];
  /** Of the store when the range was read. */
  readonly revision: bigint;
  /** Whether there were more than `limit`. */
  readonly isTruncated: boolean;
}

/** etcd answers, but not to us: asking again helps only after somebody has changed something. */
export class EtcdRefusal extends Error {
  constructor(message: string, cause: unknown) {
    super(message, { cause });
    this.name = 'EtcdRefusal';
  }
}

/** Alluxio leases live 120 s; a silently dead watch connection is found well within that. */
const KEEPALIVE_TIME_MS = 30_000;
const KEEPALIVE_TIMEOUT_MS = 10_000;

export class EtcdSource {
  readonly #client: Etcd3;
  readonly #timeoutMs: number;
  readonly #username: string | undefined;
  #watcher: Watcher | undefined;

  constructor(options: EtcdSourceOptions) {
    this.#timeoutMs = options.requestTimeoutMs;
    this.#username = options.auth?.username;
    this.#client = new Etcd3(clientOptions(options));
  }

  /** Throws `EtcdRefusal` where etcd does not let us read. */
  async readPrefix(prefix: string, limit: number): Promise<RangeAnswer> {
    const request = this.#client.getAll().prefix(prefix).limit(limit).exec();
    const read = withTimeout(request, this.#timeoutMs, 'etcd did not answer a read');
    const answer = await read.catch((error: unknown) => {
      throw refusalOf(error, this.#username, prefix) ?? error;
    });
    return {
      entries: answer.kvs.map((kv) => ({ key: kv.key.toString('utf8'), value: kv.value })),
      revision: BigInt(answer.header.revision),
      isTruncated: answer.more,
    };
  }

  /**
   * Resolves when the watch stands. `onTouched` follows every change after `revision`; `onLost`
   * comes at most once: connection gone, revision compacted, permission taken.
   */
  async watchPrefix(
    prefix: string,
    revision: bigint,
    listeners: { readonly onTouched: () => void; readonly onLost: (error: Error) => void },
  ): Promise<void> {
    const watcher = this.#client
      .watch()
      .prefix(prefix)
      .startRevision((revision + 1n).toString())
      .watcher();
    this.#watcher = watcher;
    const connected = new Promise<void>((resolve, reject) => {
      let isLost = false;
      const lose = (error: Error): void => {
        if (isLost) return;
        isLost = true;
        reject(error);
        listeners.onLost(error);
      };
      watcher.on('connected', () => resolve());
      watcher.on('data', () => listeners.onTouched());
      watcher.on('error', lose);
      watcher.on('disconnected', lose);
      watcher.on('end', () => lose(new Error('etcd ended the watch')));
    });
    await withTimeout(connected, this.#timeoutMs, 'etcd did not answer a watch');
  }

  /** Never throws and never takes longer than a request may. */
  async close(): Promise<void> {
    const watcher = this.#watcher;
    this.#watcher = undefined;
    if (watcher !== undefined) {
      // Without this, etcd3 would go on reconnecting the watch on timers after the close.
      await withTimeout(watcher.cancel(), this.#timeoutMs, 'etcd did not end a watch').catch(
        () => undefined,
      );
    }
    this.#client.close();
  }
}

/** Two of these have no class of their own in etcd3; their texts are constants of etcd. */
function refusalOf(
  error: unknown,
  username: string | undefined,
  prefix: string,
): EtcdRefusal | undefined {
  const text = error instanceof Error ? error.message : '';
  if (error instanceof EtcdAuthenticationFailedError) {
    const what = `etcd refused the login of "${username}": wrong name or password`;
    const where = '--etcd-username and --etcd-password-file (or ALLUXIO_FUSE_ETCD_PASSWORD)';
    return new EtcdRefusal(`${what}; check ${where}`, error);
  }
  if (text.includes('etcdserver: user name is empty')) {
    const message = 'etcd demands a login; give --etcd-username and --etcd-password-file';
    return new EtcdRefusal(message, error);
  }
  if (error instanceof EtcdPermissionDeniedError) {
    const what = `etcd lets "${username}" log in but not read ${prefix}`;
    return new EtcdRefusal(`${what}; grant that, or give another --etcd-username`, error);
  }
  if (text.includes('etcdserver: authentication is not enabled')) {
    const what = 'etcd refused the login: it has no users, authentication is not enabled';
    return new EtcdRefusal(`${what}; leave out --etcd-username and the password`, error);
  }
  return undefined;
}

function clientOptions(options: EtcdSourceOptions): IOptions {
  const deadline = (): { deadline: number } => ({
    deadline: Date.now() + options.requestTimeoutMs,
  });
  return {
    hosts: [...options.endpoints],
    dialTimeout: options.requestTimeoutMs,
    defaultCallOptions: (call) => (call.isStream ? {} : deadline()),
    grpcOptions: {
      'grpc.keepalive_time_ms': KEEPALIVE_TIME_MS,
      'grpc.keepalive_timeout_ms': KEEPALIVE_TIMEOUT_MS,
    },
    ...(options.auth === undefined
      ? {}
      : { auth: { ...options.auth, callOptions: () => deadline() } }),
    ...(options.tls === undefined
      ? {}
      : {
          credentials: {
            rootCertificate: options.tls.ca,
            ...(options.tls.key === undefined ? {} : { privateKey: options.tls.key }),
            ...(options.tls.certificate === undefined
              ? {}
              : { certChain: options.tls.certificate }),
          },
        }),
  };
}

/** The late answer of a call that was given up is looked at, so that it is never "unhandled". */
async function withTimeout<T>(call: Promise<T>, timeoutMs: number, message: string): Promise<T> {
  call.catch(() => undefined);
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`${message} within ${timeoutMs} ms`)), timeoutMs);
  });
  try {
    return await Promise.race([call, timeout]);
  } finally {
    clearTimeout(timer);
  }
}
