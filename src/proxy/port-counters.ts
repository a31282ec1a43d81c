import type { PortTotals } from '../model/cluster-view.ts'

export type PortName = PortTotals['port']

/** Counters of one router port. Mutable: the data path adds to them. */
export type PortCounters = {
  readonly port: PortName
  listen: number
  queries: number
  errors: number
  clients: number
  waiting: number
}

export function newPortCounters(port: PortName, listen: number): PortCounters {
  return { port, listen, queries: 0, errors: 0, clients: 0, waiting: 0 }
}

/** Counters as they cross to the agent. */
export function totalsOf(counters: readonly PortCounters[], waitingForServers: number): PortTotals[] {
  return counters.map((port) =>
    port.port === 'pooled' ? { ...port, waiting: port.waiting + waitingForServers } : { ...port },
  )
}
