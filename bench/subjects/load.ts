/** wrk at the worker's page endpoint: small files as fast as the worker gives them to anybody. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runCommand } from '../support/children.ts';
import { findProgram } from '../support/programs.ts';
import type { ClusterPlace } from './clusters.ts';
import { urlsOf } from './curl.ts';
import type { LoadSubject } from './subject.ts';

const CONNECTIONS = 16;
const SECONDS = 3;
const WRK_MS = 60_000;

/** Requests are made before the first is sent: wrk's own work is then next to nothing. */
const SCRIPT = `local requests, at = {}, 0
for path in io.lines(os.getenv("BENCH_PATHS")) do
  requests[#requests + 1] = path
end
init = function()
  for i, path in ipairs(requests) do requests[i] = wrk.format("GET", path) end
end
request = function()
  at = at % #requests + 1
  return requests[at]
end
done = function(summary)
  local errors = 0
  for _, count in pairs(summary.errors) do errors = errors + count end
  local out = io.open(os.getenv("BENCH_RESULT"), "w")
  out:write(string.format('{"requests":%d,"microseconds":%d,"errors":%d}',
    summary.requests, summary.duration, errors))
  out:close()
end
`;

/** A text says why there is none. */
export function loadSubject(
  id: string,
  title: string,
  cluster: ClusterPlace,
  workDir: string,
): LoadSubject | string {
  const program = findProgram('wrk');
  if (program === undefined) return 'wrk is not installed';
  const urls = urlsOf(cluster);
  const file = (name: string): string => join(workDir, `${id}-${name}`);
  return {
    kind: 'load',
    id,
    title,
    detail: `wrk at the HTTP port of ${cluster.detail}, one thread, ${CONNECTIONS} kept connections`,
    rate: async (paths) => {
      const pages = paths.map((path) => new URL(urls.page(path, 0)));
      const origins = new Set(pages.map(({ origin }) => origin));
      const [origin] = origins;
      // One worker: wrk has one server only.
      if (origin === undefined || origins.size > 1) throw new Error('wrk needs one worker');
      await writeFile(file('script.lua'), SCRIPT);
      await writeFile(file('paths'), pages.map(({ pathname }) => `${pathname}\n`).join(''));
      const flags = ['-t', '1', '-c', String(CONNECTIONS), '-d', `${SECONDS}s`];
      await runCommand(program, [...flags, '-s', file('script.lua'), origin], {
        timeoutMs: WRK_MS,
        env: { ...process.env, BENCH_PATHS: file('paths'), BENCH_RESULT: file('result') },
      });
      const result = JSON.parse(await readFile(file('result'), 'utf8')) as Result;
      if (result.errors > 0) throw new Error(`wrk saw ${result.errors} errors`);
      return result.requests / (result.microseconds / 1e6);
    },
    stop: async () => {},
  };
}

interface Result {
  readonly requests: number;
  readonly microseconds: number;
  readonly errors: number;
}
