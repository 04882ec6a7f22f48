/** The name space as the cluster has it, without anything beside it. */
import type { ClusterClient, FileStatus } from '../cluster/index.ts';
import type { NodeStatus, WritableStore } from '../store/index.ts';

export function plainFiles(client: ClusterClient): Pick<WritableStore, 'stat' | 'list' | 'read'> {
  return {
    async stat(path, context) {
      return nodeOf(await client.stat(path, context));
    },
    async *list(path, context) {
      for await (const statuses of client.list(path, context)) yield statuses.map(nodeOf);
    },
    read: async (request, sink, context) => await client.read(request, sink, context),
  };
}

function nodeOf({ type, mode, ...rest }: FileStatus): NodeStatus {
  return { ...rest, kind: type, posix: mode === undefined ? {} : { mode } };
}
