import { expect } from 'vitest'
import type { Cluster } from './cluster.ts'
import type { TestNode } from './machines.ts'
import { createNumberedTable, NumberedWriter, readNumbered } from './numbered-writer.ts'
import { findPgbench, PgbenchLoad } from './pgbench.ts'
import {
  checkHistory,
  describeVerdict,
  longestGap,
  type HistoryVerdict,
  type Write,
} from './write-history.ts'

/** A lease of 3 s, the wait of the judge, and a promotion, on two cores that others use too. */
const TAKEOVER_MS = 20_000
/** A whole copy of a small cluster, and its start. */
const REJOIN_MS = 45_000
/** Longer than a client waits for an answer from a server that is frozen or cut off. */
const WRITES_MS = 20_000
const WRITES_BEFORE_FAULT = 40
const WRITE_EVERY_MS = 15

/**
 * What the failover tests do, whatever the machines are: writers of ours through the router of every node, `pgbench` beside
 * them, faults, and in the end the checker.
 */
export class FailoverStory {
  readonly #cluster: Cluster
  readonly #writers: readonly NumberedWriter[]
  readonly #load: PgbenchLoad | undefined

  constructor(cluster: Cluster) {
    this.#cluster = cluster
    // Port 0: this node has no router.
    const routed = cluster.nodes.filter(({ ports }) => ports.primary !== 0)
    this.#writers = routed.map(
      (node, number) =>
        new NumberedWriter({ url: cluster.url(node, 'primary'), number, everyMs: WRITE_EVERY_MS }),
    )
    const pgbench = findPgbench()
    this.#load = pgbench === undefined ? undefined : new PgbenchLoad(pgbench, this.#anyUrl)
  }

  async begin(): Promise<void> {
    await createNumberedTable(this.#anyUrl)
    await this.#load?.initialise()
    for (const writer of this.#writers) writer.start()
    this.#load?.start()
    await this.writesGoOn()
  }

  /** One fault at the primary's node, until all is as before: another node takes writes, the killed one streams again. */
  async round(fault: (node: TestNode) => void): Promise<void> {
    const cluster = this.#cluster
    const old = await cluster.waitForHealthy(REJOIN_MS)
    await this.writesGoOn(WRITES_BEFORE_FAULT)
    const epoch = await cluster.epoch()
    const brokenAtMs = performance.now()
    fault(old)
    const next = await cluster.waitForPrimary({ deadlineMs: TAKEOVER_MS, after: epoch })
    expect(next.name, 'another node takes writes').not.toBe(old.name)
    await this.writesGoOn()
    const gapMs = Math.max(
      ...this.#writers.map(({ writes }) => longestGap(writes, brokenAtMs, performance.now())),
    )
    await cluster.waitForHealthy(REJOIN_MS)
    process.stdout.write(
      `    ${old.name} → ${next.name}: nobody wrote for ${Math.round(gapMs)} ms, whole again after ${Math.round(performance.now() - brokenAtMs)} ms\n`,
    )
    const steps = (await cluster.failovers()).at(-1)?.steps.map(({ step, atMs }) => `${step} ${atMs}`)
    process.stdout.write(`      ${steps?.join(', ') ?? 'nobody wrote down how'}\n`)
  }

  /** Every writer gets `count` acknowledgements for what it began after this was called. */
  async writesGoOn(count = 1): Promise<void> {
    const since = performance.now()
    await this.#cluster.waitFor(`${count} acknowledgements for every writer`, WRITES_MS + 50 * count, () =>
      this.#writers.every((writer) => writer.acknowledgedSince(since) >= count),
    )
  }

  /** Writes that were not acknowledged, begun after `sinceMs`. */
  failures(sinceMs: number): readonly Write[] {
    return this.#writers.flatMap(({ writes }) =>
      writes.filter(({ outcome, invokedMs }) => outcome !== 'acknowledged' && invokedMs >= sinceMs),
    )
  }

  /** Stops the writers and holds what they were told against the database and the product's own reports. */
  async verdict(): Promise<HistoryVerdict> {
    await this.#load?.stop()
    const histories = await Promise.all(this.#writers.map((writer) => writer.stop()))
    const verdict = checkHistory({
      writes: histories.flat(),
      rows: await readNumbered(this.#anyUrl),
      losses: await this.#cluster.losses(),
    })
    process.stdout.write(
      `    ${describeVerdict(verdict)}; pgbench started ${this.#load?.starts ?? 0} times\n`,
    )
    return verdict
  }

  /** Ends the writing; what was written can still be judged. */
  async end(): Promise<void> {
    await this.#load?.stop()
    await Promise.all(this.#writers.map((writer) => writer.stop()))
  }

  get #anyUrl(): string {
    const [first] = this.#cluster.nodes
    if (!first) throw new Error('A cluster without nodes')
    return this.#cluster.url(first, 'primary')
  }
}

/** Holds for every mode: nothing twice, nothing invented, no two primaries, and every loss told. */
export function expectHonestHistory(verdict: HistoryVerdict): void {
  expect(verdict.duplicates, 'rows that are there twice').toEqual([])
  expect(verdict.invented, 'rows that nobody wrote').toEqual([])
  expect(verdict.dual, 'acknowledged by an older primary after a newer one').toEqual([])
  expect(verdict.shared, 'two servers on one timeline').toEqual([])
  expect(verdict.unreported, 'lost, and the product did not say so').toEqual([])
  expect(verdict.falselyReported, 'reported as lost, and there').toEqual([])
}
