import { RandomStream } from '../random-stream.ts'
import type { RareFault } from './rare-faults.ts'
import type { SimNode } from './sim-node.ts'
import type { SimOperator } from './sim-operator.ts'

export type RareFaultDeps = {
  readonly seed: number
  readonly node: (name: string) => SimNode | undefined
  /** Everybody streams, so whatever one disk holds is somewhere else too: only then may a disk be lost (G6 promises nothing else). */
  readonly isWhole: () => boolean
  /** Ends a fault after so long, unless the healing has. */
  readonly later: (ms: number, end: () => void) => void
  readonly operator: SimOperator
  readonly note: (text: string) => void
  readonly tookData: (host: string) => void
}

type DiskFault = Extract<RareFault, { kind: 'agent-disk' | 'cut-write' | 'rot' | 'new-disk' }>

/** Does to the hosts what `rare-faults.ts` says. */
export class RareFaultInjection {
  readonly #deps: RareFaultDeps
  readonly #chance: RandomStream
  /** As whom each of them had joined then, if it had: whoever comes back comes as another. */
  readonly #broken = new Map<string, string | undefined>()

  constructor(deps: RareFaultDeps) {
    this.#deps = deps
    this.#chance = new RandomStream(deps.seed, 'rot')
  }

  apply(fault: RareFault): void {
    const { operator } = this.#deps
    switch (fault.kind) {
      case 'member-add':
        return operator.add(fault.host)
      case 'member-remove':
        return operator.remove(fault.victim)
      case 'member-replace':
        return operator.replace(fault.host)
      case 'upgrade':
        return operator.upgrade()
      default: {
        const node = this.#deps.node(fault.host)
        if (node !== undefined) this.#strike(node, fault)
      }
    }
  }

  #strike(node: SimNode, fault: DiskFault): void {
    const { later, operator } = this.#deps
    switch (fault.kind) {
      case 'agent-disk': {
        const { disk } = node.state
        disk.setFault(fault.what)
        return later(fault.ms, () => disk.setFault(undefined))
      }
      case 'cut-write':
        return node.state.disk.cutNextWrite(() => this.#cut(node, fault))
      case 'rot':
        if (!this.#mayLose(node, 'log') || !node.state.disk.rot(this.#chance)) return
        this.#broken.set(node.name, node.state.membership?.joined?.incarnation)
        node.kill('agent')
        return operator.remedy(node.name)
      case 'new-disk':
        if (!this.#mayLose(node, fault.what === 'data' ? 'data' : 'log')) return
        node.losePower()
        if (fault.what !== 'state') {
          node.postgres.wipe()
          this.#deps.tookData(node.name)
        }
        if (fault.what !== 'data') {
          node.state.wipe()
          this.#broken.set(node.name, node.state.membership?.joined?.incarnation)
          operator.remedy(node.name)
        }
        return later(fault.ms, () => node.powerOn())
    }
  }

  /** Whose consensus log is broken or gone takes part in nothing until it was told to come back as another. */
  whyTakesPart(node: SimNode): string | undefined {
    if (!this.#broken.has(node.name)) return undefined
    const incarnation = node.state.membership?.joined?.incarnation
    if (incarnation !== undefined && incarnation !== this.#broken.get(node.name)) {
      this.#broken.delete(node.name)
      return undefined
    }
    return node.agent?.control.brain === undefined
      ? undefined
      : `${node.name} takes part in consensus without the log that it had`
  }

  end(nodes: Iterable<SimNode>): void {
    for (const { state } of nodes) {
      state.disk.setFault(undefined)
      state.disk.cutNextWrite(undefined)
    }
  }

  #cut(node: SimNode, fault: Extract<RareFault, { kind: 'cut-write' }>): void {
    this.#deps.note(`${node.name} is cut off between a write and its fsync`)
    if (fault.how === 'kill') return node.kill('agent')
    node.losePower()
    this.#deps.later(fault.ms, () => node.powerOn())
  }

  /** A copy of the data is enough where there is another one; without a consensus log a majority must be left. */
  #mayLose(node: SimNode, what: 'log' | 'data'): boolean {
    const { operator, isWhole, note } = this.#deps
    const isSpare = operator.members.has(node.name) && operator.members.size > (what === 'log' ? 2 : 1)
    if (isSpare && node.host.isUp && !operator.isBusy && isWhole()) return true
    note(`nothing is done to ${node.name}: it may hold what nobody else has`)
    return false
  }
}
