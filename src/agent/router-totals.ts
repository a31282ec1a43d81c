import type { PortTotals } from '../model/cluster-view.ts'
import { boundedLatencies, type StatementLatency } from '../model/statement-latency.ts'

/**
 * The counters of all processes of a router as one. What one that has ended had counted stays, since people watch these numbers grow.
 */
export class RouterTotals {
  readonly #living = new Map<number, readonly PortTotals[]>()
  #ended: readonly PortTotals[] = []
  readonly #livingLatencies = new Map<number, readonly StatementLatency[]>()
  #endedLatencies: readonly StatementLatency[] = []

  /** What a process says of itself last. */
  said(pid: number, totals: readonly PortTotals[], latencies: readonly StatementLatency[] = []): void {
    this.#living.set(pid, totals)
    this.#livingLatencies.set(pid, latencies)
  }

  /** It has ended: nobody is connected to it any more. */
  ended(pid: number): void {
    const last = this.#living.get(pid) ?? []
    this.#living.delete(pid)
    this.#endedLatencies = boundedLatencies([
      ...this.#endedLatencies,
      ...(this.#livingLatencies.get(pid) ?? []),
    ])
    this.#livingLatencies.delete(pid)
    this.#ended = sumOf([this.#ended, last.map((port) => ({ ...port, clients: 0, waiting: 0 }))])
  }

  /** How long statements took, by database and user. */
  get latencies(): readonly StatementLatency[] {
    return boundedLatencies([this.#endedLatencies, ...this.#livingLatencies.values()].flat())
  }

  get sum(): readonly PortTotals[] {
    return sumOf([this.#ended, ...this.#living.values()])
  }
}

function sumOf(all: readonly (readonly PortTotals[])[]): readonly PortTotals[] {
  const sums = new Map<PortTotals['port'], PortTotals>()
  for (const totals of all) {
    for (const one of totals) {
      const known = sums.get(one.port)
      sums.set(one.port, known ? added(known, one) : one)
    }
  }
  return [...sums.values()]
}

function added(one: PortTotals, other: PortTotals): PortTotals {
  return {
    port: one.port,
    listen: other.listen,
    queries: one.queries + other.queries,
    errors: one.errors + other.errors,
    clients: one.clients + other.clients,
    waiting: one.waiting + other.waiting,
  }
}
