/** What is measured: mounts, the local file system, and plain HTTP clients as their yardstick. */
import type { DataSet } from '../support/data-set.ts';
import type { Figures } from '../support/figures.ts';
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
  /** The same for all mounts over the same workers. */
  readonly cluster?: object;
  readonly diskTier?: DiskTier;
  /** Nothing is cached from here on, neither by it nor by the kernel for it; for `local` a no-op. */
  restart(): Promise<void>;
  /** Processes that do its work now. */
  pids(): number[];
  stop(): Promise<void>;
}

/** A mount that keeps what it reads on a disk. */
export interface DiskTier {
  /** Waits until nothing more is written; whether so many bytes are on the disk then. */
  settle(bytes: number): Promise<boolean>;
  /** Unmounts and mounts again; what is on the disk stays. */
  remount(): Promise<void>;
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
  /** Asks for one after the other; gives the median of the seconds to the first byte of each. */
  firstByte(requests: readonly CurlRequest[]): Promise<number>;
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

/** An HTTP load generator: what the worker gives to somebody who does nothing with it. */
export interface LoadSubject {
  readonly kind: 'load';
  readonly id: string;
  readonly title: string;
  readonly detail: string;
  /** Files a second, each of one page, asked for in turn over kept connections. */
  rate(paths: readonly string[]): Promise<number>;
  stop(): Promise<void>;
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

/** Our own code in a process of its own, without a mount. */
export interface ProgramSubject {
  readonly kind: 'program';
  readonly id: string;
  readonly title: string;
  readonly detail: string;
  /** A program of bench/programs, which prints its figures as JSON. */
  run(name: string): Promise<Figures>;
  stop(): Promise<void>;
}

export type Subject = MountSubject | CurlSubject | LoadSubject | CopierSubject | ProgramSubject;

/** What scenarios work with. */
export interface Bench {
  readonly data: DataSet;
  readonly workload: Workload;
  /** The mount that stands for ours where a figure is taken of one only. */
  readonly ours: string | undefined;
}
