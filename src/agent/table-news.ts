import type { RouteTarget, RoutingTableMessage } from '../model/routing-table.ts'

/** A router that hears nothing for 500 ms asks other members: a table that says nothing new is repeated after this. */
const REPEAT_MS = 400
/** Validity that another member proves wavers by as much as the clocks and the network do; less than this is no news. */
const LONGER_MS = 50

/**
 * What the routers of this agent were told last. Most causes to tell them something follow a renewal that changed nothing but the end
 * of the table, or not even that. A table that ends earlier is no news: what was proven stays proven, and a primary that lets go is no
 * longer named. Nor is the lag of a replica, which changes all the time: the next table has it.
 */
export class TableNews {
  #told: { readonly what: string; readonly validUntil: number; readonly at: number } | undefined

  /** True when the table should be sent now, and counts as told then. */
  take(table: RoutingTableMessage, now: number): boolean {
    const { validUntil = 0, epoch, primary, replicas, holding = '' } = table
    const what = [epoch, holding, textOf(primary), ...replicas.map(textOf)].join(' ')
    const last = this.#told
    const isLonger = last === undefined || validUntil > last.validUntil + LONGER_MS
    if (!isLonger && last.what === what && now - last.at < REPEAT_MS) return false
    this.#told = { what, validUntil, at: now }
    return true
  }
}

function textOf(target: RouteTarget | undefined): string {
  return target === undefined ? '-' : `${target.name} ${target.host} ${target.port}`
}
