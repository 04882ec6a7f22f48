/** The local file system under all of it: the limit. */
import type { MountSubject } from './subject.ts';

export function localSubject(folder: string): MountSubject {
  return {
    kind: 'local',
    id: 'local',
    title: 'local file',
    detail: 'the files themselves, on the disk of this machine',
    folder,
    hasServerCache: false,
    restart: async () => {},
    pids: () => [],
    stop: async () => {},
  };
}
