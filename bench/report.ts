/** Makes the figures, goals and plots of docs/performance.md from docs/performance.json. */
import { repositoryRoot } from '../test/support/repository.ts';
import { writeReport } from './support/publish.ts';

await writeReport(repositoryRoot());
