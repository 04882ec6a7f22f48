/** Direct writes to etcd through its JSON gateway: what no well-behaved worker would do. */
interface KeyValue {
  readonly key: string;
  readonly value: string;
  readonly lease?: string;
}

/** Takes everything under the prefix away; what is returned puts it back, leases included. */
export async function takeKeys(etcdUrl: string, prefix: string): Promise<() => Promise<void>> {
  const range = { key: base64(prefix), range_end: base64(endOf(prefix)) };
  const { kvs = [] } = (await call(etcdUrl, 'range', range)) as { kvs?: KeyValue[] };
  await call(etcdUrl, 'deleterange', range);
  return async () => {
    for (const { key, value, lease } of kvs) {
      // A lease that has ended meanwhile is its worker's to replace.
      await call(etcdUrl, 'put', { key, value, lease }).catch(() => undefined);
    }
  };
}

async function call(etcdUrl: string, method: string, body: object): Promise<unknown> {
  const response = await fetch(`${etcdUrl}/v3/kv/${method}`, {
    method: 'POST',
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(5_000),
  });
  if (!response.ok) throw new Error(`etcd answered ${response.status}`);
  return await response.json();
}

function endOf(prefix: string): string {
  return prefix.slice(0, -1) + String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1);
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}
