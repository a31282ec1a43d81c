import type { LossReport } from '#client'
import { pause } from '../../src/platform/timers.ts'
import type { Cluster } from '../support/cluster.ts'
import type { TestNode } from '../support/machines.ts'
import { NumberedWriter, readNumbered, withClient } from '../support/numbered-writer.ts'
import { findPgbench, PgbenchLoad } from '../support/pgbench.ts'
import { checkHistory, longestGap, type Write } from '../support/write-history.ts'

/** Planned work, again and again, under load: what an hour of it costs applications. */

const WRITE_EVERY_MS = 20
/** A primary that is handed over, and the old one back as a standby. */
const WHOLE_MS = 90_000
const WRITES_MS = 30_000
/** A stall of this length is worth a look at the flight recorder. */
const LONG_MS = 1000
const MAX_CONNECTIONS = [60, 70, 50] as const

export type PlannedReport = {
  readonly switchovers: number
  readonly restarts: number
  readonly changes: number
  /** Of every switchover: for how long no writer of that port was acknowledged, ms. */
  readonly stalls: Readonly<Record<Port, readonly number[]>>
  readonly acknowledged: number
  /** What clients were told that was no acknowledgement, by port and words. */
  readonly errors: Readonly<Record<string, number>>
  /** What pgbench, which cannot connect again, said each time that it ended on the pooled port. */
  readonly pgbenchEnded: readonly string[]
  /** Lost, written twice, written by nobody, or by two. */
  readonly violations: readonly string[]
}

type Port = 'primary' | 'pooled'
type Writers = Readonly<Record<Port, readonly NumberedWriter[]>>

const PORTS: readonly Port[] = ['primary', 'pooled']

/** A switchover every `everyMs`; one step in twenty restarts all members, one in twenty changes what only a restart brings. */
export async function plannedWork(
  at: { readonly cluster: Cluster; readonly say: (line: string) => void },
  lastsMs: number,
  everyMs: number,
): Promise<PlannedReport> {
  const { cluster, say } = at
  const [first] = cluster.nodes
  if (!first) throw new Error('A cluster without nodes')
  const writers = startWriters(cluster)
  const load = await startLoad(cluster.url(first, 'pooled'))
  const count = { switchovers: 0, restarts: 0, changes: 0 }
  const stalls: Record<Port, number[]> = { primary: [], pooled: [] }
  const losses = new Map<string, LossReport>()
  const endsAt = performance.now() + lastsMs
  try {
    for (let step = 1; performance.now() < endsAt; step += 1) {
      const begunAt = performance.now()
      if (step % 20 === 10) await restartAll(cluster, count)
      else if (step % 20 === 0) await changeConnections(cluster, count)
      else {
        await switchOver(cluster, step)
        count.switchovers += 1
        await writesGoOn(cluster, writers)
        const gaps = PORTS.map((port) => gapOf(writers[port], begunAt))
        gaps.forEach((gap, index) => stalls[PORTS[index] ?? 'primary'].push(gap))
        if (Math.max(...gaps) > LONG_MS)
          say(`  took long: ${JSON.stringify((await cluster.failovers()).at(-1))}`)
      }
      await cluster.waitForHealthy(WHOLE_MS)
      await writesGoOn(cluster, writers)
      for (const loss of await cluster.losses()) losses.set(JSON.stringify(loss), loss)
      say(`  step ${step}: ${describeStep(count, stalls)}`)
      await pause(Math.max(0, Math.min(endsAt, begunAt + everyMs) - performance.now()))
    }
  } finally {
    await load?.stop()
    await Promise.all(PORTS.flatMap((port) => writers[port].map((writer) => writer.stop())))
  }
  const writes = PORTS.map((port) => [port, writers[port].flatMap((writer) => writer.writes)] as const)
  const all = writes.flatMap(([, some]) => some)
  const rows = await readNumbered(cluster.url(first, 'primary'))
  const history = checkHistory({ writes: all, rows, losses: [...losses.values()] })
  return {
    ...count,
    stalls,
    acknowledged: history.acknowledged,
    errors: errorsOf(writes),
    pgbenchEnded: load?.complaints ?? [],
    violations: [
      ...(history.missing.length > 0 ? [`${history.missing.length} acknowledged rows are missing`] : []),
      ...(history.duplicates.length > 0 ? [`${history.duplicates.length} rows are there twice`] : []),
      ...(history.invented.length > 0 ? [`${history.invented.length} rows nobody wrote`] : []),
      ...(history.dual.length > 0 ? [`${history.dual.length} acknowledgements of an older primary`] : []),
      ...(history.shared.length > 0 ? ['two servers wrote on one timeline'] : []),
    ],
  }
}

function startWriters(cluster: Cluster): Writers {
  let number = 0
  const on = (port: Port): readonly NumberedWriter[] =>
    cluster.nodes.map((node) => {
      number += 1
      return new NumberedWriter({ url: cluster.url(node, port), number, everyMs: WRITE_EVERY_MS })
    })
  const writers = { primary: on('primary'), pooled: on('pooled') }
  for (const port of PORTS) for (const writer of writers[port]) writer.start()
  return writers
}

async function startLoad(url: string): Promise<PgbenchLoad | undefined> {
  const program = findPgbench()
  if (program === undefined) return undefined
  const load = new PgbenchLoad(program, url)
  await load.initialise()
  load.start()
  return load
}

/** The standbys in turn. */
async function switchOver(cluster: Cluster, step: number): Promise<void> {
  const primary = await cluster.waitForPrimary({ deadlineMs: WHOLE_MS })
  const others = cluster.nodes.filter((node) => node !== primary)
  const next = others[step % others.length]
  if (!next) throw new Error('Nobody to switch over to')
  await order(cluster, primary, 'switchover', '--candidate', next.name, '--force')
}

async function restartAll(cluster: Cluster, count: { restarts: number }): Promise<void> {
  await order(cluster, await cluster.waitForPrimary({ deadlineMs: WHOLE_MS }), 'restart', '--force')
  count.restarts += 1
}

async function changeConnections(cluster: Cluster, count: { changes: number }): Promise<void> {
  const wanted = MAX_CONNECTIONS[count.changes % MAX_CONNECTIONS.length] ?? 50
  const primary = await cluster.waitForPrimary({ deadlineMs: WHOLE_MS })
  await order(cluster, primary, 'edit-config', '--pg', `max_connections=${wanted}`, '--force')
  await order(cluster, primary, 'restart', '--pending', '--force')
  await cluster.waitForHealthy(WHOLE_MS)
  const { rows } = await withClient(cluster.directUrl(primary), (client) =>
    client.query<{ max_connections: string }>('show max_connections'),
  )
  if (rows[0]?.max_connections !== String(wanted))
    throw new Error(`max_connections is ${rows[0]?.max_connections}, wanted ${wanted}`)
  count.changes += 1
}

/** As an operator types it, on the host of a node. */
async function order(cluster: Cluster, node: TestNode, ...words: readonly string[]): Promise<void> {
  const { code, err } = await cluster.runOn(node, [...words, '--config', node.configFile])
  if (code !== 0) throw new Error(`pg-metako ${words.join(' ')} ended with ${code}: ${err}`)
}

async function writesGoOn(cluster: Cluster, writers: Writers): Promise<void> {
  const since = performance.now()
  const all = PORTS.flatMap((port) => writers[port])
  await cluster.waitFor('an acknowledgement for every writer', WRITES_MS, () =>
    all.every((writer) => writer.acknowledgedSince(since) > 0),
  )
}

function gapOf(writers: readonly NumberedWriter[], fromMs: number): number {
  return Math.max(...writers.map(({ writes }) => longestGap(writes, fromMs, performance.now())))
}

function errorsOf(writes: readonly (readonly [Port, readonly Write[]])[]): Record<string, number> {
  const found: Record<string, number> = {}
  for (const [port, some] of writes) {
    for (const { outcome, error } of some) {
      if (outcome === 'acknowledged') continue
      const key = `${port}: ${outcome}: ${error ?? 'no answer'}`
      found[key] = (found[key] ?? 0) + 1
    }
  }
  return found
}

function describeStep(
  { switchovers, restarts, changes }: { switchovers: number; restarts: number; changes: number },
  stalls: Readonly<Record<Port, readonly number[]>>,
): string {
  const last = (port: Port): string => `${Math.round(stalls[port].at(-1) ?? 0)} ms`
  return `${switchovers} switchovers (the last stalled 5433 for ${last('primary')}, 6432 for ${last('pooled')}), ${restarts} rolling restarts, ${changes} changes of max_connections`
}

/** The middle one, and the longest. */
export function describeStalls(stalls: readonly number[]): string {
  const sorted = stalls.toSorted((left, right) => left - right)
  const middle = sorted[Math.floor(sorted.length / 2)] ?? 0
  return `p50 ${Math.round(middle)} ms, longest ${Math.round(sorted.at(-1) ?? 0)} ms`
}
