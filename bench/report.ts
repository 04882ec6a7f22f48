/** Writes the figures of docs/performance.json into docs/performance.md. */
import { repositoryRoot } from '../test/support/repository.ts';
import { writeReport } from './support/publish.ts';

await writeReport(repositoryRoot());
