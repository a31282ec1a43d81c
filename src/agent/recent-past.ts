import type { ClusterEvent, MemberSeries, RecentDocument } from '#client'
import type { ClusterView, MemberView } from '../model/cluster-view.ts'
import { parseLsn } from '../model/lsn.ts'
import type { ActivityFacts } from '../model/member.ts'
import { SECOND } from '../std/units.ts'
import { changesBetween, type Change } from './view-changes.ts'

/** A quarter of an hour: what somebody who was woken wants to see. */
const SAMPLES_MAX = 450
const EVENTS_MAX = 300

type Point = { readonly [Measure in Exclude<keyof MemberSeries, 'name'>]: number | null }
type Sample = { readonly number: number; readonly atMs: number; readonly points: ReadonlyMap<string, Point> }
type Rates = Pick<Point, 'walBytesPerSecond' | 'transactionsPerSecond' | 'transactionMs'>

const NO_RATES: Rates = { walBytesPerSecond: null, transactionsPerSecond: null, transactionMs: null }

/** What this agent saw of the cluster lately, for charts and for people: bounded, in memory, and gone with the agent. */
export class RecentPast {
  readonly #self: string
  readonly #everyMs: number
  readonly #samples: Sample[] = []
  readonly #events: ClusterEvent[] = []
  readonly #asked = new Map<string, { readonly facts: ActivityFacts; readonly rates: Rates }>()
  #number = 0
  #seen: ClusterView | undefined

  constructor(options: { self: string; everyMs: number }) {
    this.#self = options.self
    this.#everyMs = options.everyMs
  }

  /** Notes what is another than in the view before. */
  look(view: ClusterView): void {
    const changes = this.#seen ? changesBetween(this.#seen, view) : []
    this.#seen = view
    for (const change of changes) this.#tell(change, view.takenAt)
  }

  /** Called in the rhythm of the charts. */
  sample(view: ClusterView): void {
    this.look(view)
    const points = view.members.map((member) => [member.facts.name, this.#pointOf(member, view)] as const)
    this.#number += 1
    this.#samples.push({ number: this.#number, atMs: Date.parse(view.takenAt), points: new Map(points) })
    if (this.#samples.length > SAMPLES_MAX) this.#samples.shift()
  }

  document(after: number): RecentDocument {
    const samples = this.#samples.filter(({ number }) => number > after)
    const names = [...new Set(samples.flatMap(({ points }) => [...points.keys()]))].toSorted()
    const column = (name: string, measure: keyof Point) =>
      samples.map(({ points }) => points.get(name)?.[measure] ?? null)
    return {
      self: this.#self,
      next: this.#number,
      everyMs: this.#everyMs,
      times: samples.map(({ atMs }) => atMs),
      series: names.map((name) => ({
        name,
        lagBytes: column(name, 'lagBytes'),
        walBytesPerSecond: column(name, 'walBytesPerSecond'),
        transactionsPerSecond: column(name, 'transactionsPerSecond'),
        transactionMs: column(name, 'transactionMs'),
        connections: column(name, 'connections'),
      })),
      events: this.#events.filter(({ number }) => number > after),
    }
  }

  #tell(change: Change, at: string): void {
    this.#number += 1
    this.#events.push({ number: this.#number, at, ...change })
    if (this.#events.length > EVENTS_MAX) this.#events.shift()
  }

  #pointOf(member: MemberView, view: ClusterView): Point {
    const { name, activity } = member.facts
    const stream = view.streams.find(({ to }) => to === name)
    const known = member.reachable ? activity : undefined
    return {
      lagBytes: stream?.flushLagBytes ?? null,
      connections: known?.connections ?? null,
      ...this.#ratesOf(name, known),
    }
  }

  /** Between two answers of PostgreSQL, whatever the rhythm here is. */
  #ratesOf(name: string, facts: ActivityFacts | undefined): Rates {
    const before = this.#asked.get(name)
    if (!facts) {
      this.#asked.delete(name)
      return NO_RATES
    }
    if (before?.facts.atMs === facts.atMs) return before.rates
    const rates = before ? ratesBetween(before.facts, facts) : NO_RATES
    this.#asked.set(name, { facts, rates })
    return rates
  }
}

/** Counters that went back belong to another life of PostgreSQL or of its agent. */
function ratesBetween(before: ActivityFacts, after: ActivityFacts): Rates {
  const seconds = (after.atMs - before.atMs) / SECOND
  const transactions = after.transactions - before.transactions
  const busyMs = after.busyMs - before.busyMs
  if (seconds <= 0 || transactions < 0) return NO_RATES
  const [from, to] = [parseLsn(before.walLsn ?? ''), parseLsn(after.walLsn ?? '')]
  return {
    walBytesPerSecond:
      from === undefined || to === undefined || to < from ? null : rounded(Number(to - from) / seconds),
    transactionsPerSecond: rounded(transactions / seconds),
    transactionMs: transactions === 0 || busyMs < 0 ? null : rounded(busyMs / transactions),
  }
}

/** Three digits tell all that a chart shows. */
function rounded(value: number): number {
  return value >= 100 ? Math.round(value) : Number(value.toPrecision(3))
}
