/** Worker entries as a real Alluxio worker leaves them in etcd. */
import type { Etcd3 } from 'etcd3';

export interface EntryWorker {
  readonly host: string;
  readonly httpPort: number;
  /** 32 hex digits. */
  readonly identifier: string;
}

export function entityName({ identifier }: EntryWorker): string {
  return `worker-${identifier.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')}`;
}

export function entryValue(worker: EntryWorker): string {
  return JSON.stringify({
    Identity: { version: 1, identifier: worker.identifier },
    WorkerNetAddress: {
      Host: worker.host,
      ContainerHost: '',
      RpcPort: 29999,
      DataPort: 29997,
      SecureRpcPort: 0,
      NettyDataPort: 29997,
      WebPort: 30000,
      DomainSocketPath: '',
      HttpServerPort: worker.httpPort,
    },
    State: 'AUTHORIZED',
    GenerationNumber: -1,
    ServiceEntityName: entityName(worker),
  });
}

export function liveKey(cluster: string, worker: EntryWorker): string {
  return `/ServiceDiscovery/${cluster}/${entityName(worker)}`;
}

/** As a join does: the permanent key and the key that a real worker would lease. */
export async function putWorker(
  client: Etcd3,
  cluster: string,
  worker: EntryWorker,
): Promise<void> {
  const value = entryValue(worker);
  await client.put(`/DHT/${cluster}/AUTHORIZED/${entityName(worker)}`).value(value);
  await client.put(liveKey(cluster, worker)).value(value);
}
