import type { RouteTarget, RoutingTable } from '../../model/routing-table.ts'
import type { BindingVerdict } from '../router/choose-target.ts'

/** Whether a server connection goes on under a new table. A replica that became the primary is another pool's business. */
export function isKept(verdict: BindingVerdict): boolean {
  return verdict.kind !== 'cut' && !(verdict.kind === 'rebind' && verdict.binding.role === 'primary')
}

export function isListed(target: RouteTarget, table: RoutingTable | undefined): boolean {
  const isSame = ({ name, host, port }: RouteTarget) =>
    name === target.name && host === target.host && port === target.port
  return table?.replicas.some(isSame) === true
}
