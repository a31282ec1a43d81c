import { createApiServer, type ApiServer } from '../../src/api/server.ts'
import type { ClusterOperations } from '../../src/api/ports.ts'
import { run } from '../../src/cli/run.ts'
import { silentLogger } from '../../src/platform/log.ts'
import { createMetrics } from '../../src/platform/metrics.ts'
import { FakeWorld } from './fake-world.ts'

/** What a member answers a command; stopped by whoever asked for it. */
export async function serveApi(
  operations: ClusterOperations,
  token: string,
): Promise<{ readonly server: ApiServer; readonly url: string }> {
  const server = await createApiServer(
    { operations, log: silentLogger(), metrics: createMetrics({ ofProcess: false }) },
    { host: '127.0.0.1', port: 0, token, routingToken: 'r', limits: { stopGraceMs: 100 } },
  )
  return { server, url: `http://127.0.0.1:${(await server.listen()).port}` }
}

export type Outcome = {
  readonly code: number
  readonly out: string
  readonly err: string
  readonly world: FakeWorld
}

/** `pg-metako WORDS…` in this process. */
export async function runWords(
  words: readonly string[],
  options: ConstructorParameters<typeof FakeWorld>[0],
): Promise<Outcome> {
  const world = new FakeWorld(options)
  const code = await run(words, world)
  return { code, out: world.stdout.text, err: world.stderr.text, world }
}
