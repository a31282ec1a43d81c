import type { PortTotals } from '../model/cluster-view.ts'
import { boundedLatencies, type StatementLatency } from '../model/statement-latency.ts'

/** By one process, of itself. */
type Said = { readonly totals: readonly PortTotals[]; readonly latencies: readonly StatementLatency[] }

/**
 * The counters of all processes of a router as one. What one that has ended had counted stays, since people watch these numbers grow.
 */
export class RouterTotals {
  readonly #living = new Map<number, Said>()
  #ended: Said = { totals: [], latencies: [] }

  /** What a process says of itself last. */
  said(pid: number, totals: readonly PortTotals[], latencies: readonly StatementLatency[] = []): void {
    this.#living.set(pid, { totals, latencies })
  }

  /** It has ended: nobody is connected to it any more. */
  ended(pid: number): void {
    const last = this.#living.get(pid)
    if (!last) return
    this.#living.delete(pid)
    const idle = last.totals.map((port) => ({ ...port, clients: 0, waiting: 0 }))
    this.#ended = {
      totals: sumOf([this.#ended.totals, idle]),
      latencies: boundedLatencies([...this.#ended.latencies, ...last.latencies]),
    }
  }

  /** How long statements took, by database and user. */
  get latencies(): readonly StatementLatency[] {
    return boundedLatencies(this.#all.flatMap(({ latencies }) => latencies))
  }

  get sum(): readonly PortTotals[] {
    return sumOf(this.#all.map(({ totals }) => totals))
  }

  get #all(): readonly Said[] {
    return [this.#ended, ...this.#living.values()]
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
