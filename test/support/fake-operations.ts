import type {
  ClusterOperations,
  ReloadOutcome,
  SwitchoverOrder,
  SwitchoverOutcome,
} from '../../src/api/ports.ts'
import type { ClusterView } from '../../src/model/cluster-view.ts'
import type { RoutingTableMessage } from '../../src/model/routing-table.ts'

/** The port of the REST API with answers that a test sets, and a list of the changes that were asked for. */
export class FakeOperations implements ClusterOperations {
  current: ClusterView
  loopAge = 10
  outcome: SwitchoverOutcome = { kind: 'done', from: 'n1', to: 'n2', epoch: 3, tookMs: 90 }
  reloadOutcome: ReloadOutcome = { kind: 'applied', changed: ['logging.level'], needsRestart: [] }
  failure: Error | undefined
  readonly changes: string[] = []

  constructor(view: ClusterView) {
    this.current = view
  }

  view(): ClusterView {
    if (this.failure) throw this.failure
    return this.current
  }

  loopAgeMs(): number {
    return this.loopAge
  }

  routing(): RoutingTableMessage {
    return {
      epoch: 2,
      primary: { name: 'n1', host: '10.0.0.1', port: 5432 },
      replicas: [],
      validForMs: 900,
      bootId: 'boot',
    }
  }

  switchover(order: SwitchoverOrder): Promise<SwitchoverOutcome> {
    this.changes.push(`switchover ${order.from ?? '*'} ${order.to ?? '*'}`)
    return this.failure ? Promise.reject(this.failure) : Promise.resolve(this.outcome)
  }

  reload(): Promise<ReloadOutcome> {
    this.changes.push('reload')
    return Promise.resolve(this.reloadOutcome)
  }
}
