/** What is measured: mounts, the local file system, and curl as the plainest client there is. */
import type { DataSet } from '../support/data-set.ts';
import type { Measured, Workload } from '../support/workload.ts';

export interface MountSubject {
  readonly kind: 'mount' | 'local';
  readonly id: string;
  readonly title: string;
  /** Version, options, what stands behind it. */
  readonly detail: string;
  /** The directory with the data set. */
  readonly folder: string;
  /** Whether a server stands behind it that can be cold while the mount is cold too. */
  readonly hasServerCache: boolean;
  /** Nothing is cached from here on, neither by it nor by the kernel for it; for `local` a no-op. */
  restart(): Promise<void>;
  /** Processes that do its work now. */
  pids(): number[];
  stop(): Promise<void>;
}

export interface CurlSubject {
  readonly kind: 'curl';
  readonly id: string;
  readonly title: string;
  readonly detail: string;
  /** `page`: what workers have cached; `s3`: reads through, a connection a request. */
  readonly dataPath: 'page' | 's3';
  readonly urls: CurlUrls;
  /** Asks for all in one process, with so many transfers at a time; gives seconds. */
  fetch(requests: readonly CurlRequest[], atOnce: number): Promise<number>;
  stop(): Promise<void>;
}

export interface CurlRequest {
  readonly url: string;
  /** `first-last`. */
  readonly range?: string;
  /** A file to put there. */
  readonly upload?: string;
}

export interface CurlUrls {
  /** Page `index` of a file of the data set. */
  page(path: string, index: number): string;
  object(path: string): string;
  info(path: string): string;
  list(path: string): string;
  readonly pageSizeBytes: number;
}

/** A program that copies whole directories, with its defaults. */
export interface CopierSubject {
  readonly kind: 'copier';
  readonly id: string;
  readonly title: string;
  readonly detail: string;
  /** `name` is below the directory of the data set, and new. */
  upload(from: string, name: string): Promise<Measured>;
  download(name: string, to: string): Promise<Measured>;
  stop(): Promise<void>;
}

export type Subject = MountSubject | CurlSubject | CopierSubject;

/** What scenarios work with. */
export interface Bench {
  readonly data: DataSet;
  readonly workload: Workload;
}
