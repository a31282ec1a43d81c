import type { RouteTarget, RoutingTable, RoutingTableMessage } from '../../model/routing-table.ts'
import type { MonotonicMs } from '../../model/time.ts'

/** Far above any cluster; what comes from outside must have a bound. */
const REPLICAS_MAX = 64

/** Reads a table that crossed a process border; `undefined` when it is none. Unknown fields are ignored. */
export function parseTableMessage(value: unknown): RoutingTableMessage | undefined {
  if (!isRecord(value)) return undefined
  const { epoch, validForMs, validUntil, bootId, holding } = value
  if (!isCount(epoch) || !isFiniteNumber(validForMs) || typeof bootId !== 'string') return undefined
  if (validUntil !== undefined && !isFiniteNumber(validUntil)) return undefined
  if (holding !== undefined && holding !== 'NO_PRIMARY' && holding !== 'SWITCHOVER') return undefined
  const primary = value['primary'] === undefined ? undefined : parseTarget(value['primary'])
  if (value['primary'] !== undefined && !primary) return undefined
  const replicas = parseReplicas(value['replicas'])
  if (!replicas) return undefined
  return {
    epoch,
    replicas,
    validForMs,
    bootId,
    ...(primary ? { primary } : {}),
    ...(validUntil === undefined ? {} : { validUntil }),
    ...(holding === undefined ? {} : { holding }),
  }
}

/**
 * A table that the own agent pushed: its deadline holds as it is, since both share the clock of one boot. Where they
 * do not, nothing is proven: when the table was on its way, nobody had asked.
 */
export function pushedTable(message: RoutingTableMessage, localBootId: string): RoutingTable {
  const sameClock = message.validUntil !== undefined && message.bootId === localBootId
  return withDeadline(message, sameClock ? (message.validUntil ?? 0) : Number.NEGATIVE_INFINITY)
}

/** A table that was asked for at `askedAt` on this host's clock: before the question was sent (safety.md 31). */
export function answeredTable(message: RoutingTableMessage, askedAt: number): RoutingTable {
  return withDeadline(message, askedAt + message.validForMs)
}

function withDeadline(message: RoutingTableMessage, deadline: number): RoutingTable {
  const { validForMs: _relative, validUntil: _absolute, bootId: _boot, ...table } = message
  return Object.freeze({ validUntil: deadline as MonotonicMs, ...table })
}

function parseReplicas(value: unknown): RoutingTable['replicas'] | undefined {
  if (!Array.isArray(value) || value.length > REPLICAS_MAX) return undefined
  const replicas: (RouteTarget & { readonly lagBytes: number })[] = []
  for (const entry of value as readonly unknown[]) {
    const target = parseTarget(entry)
    if (!target || !isRecord(entry)) return undefined
    const lagBytes = entry['lagBytes']
    replicas.push({ ...target, lagBytes: isFiniteNumber(lagBytes) ? lagBytes : 0 })
  }
  return replicas
}

function parseTarget(value: unknown): RouteTarget | undefined {
  if (!isRecord(value)) return undefined
  const { name, host, port } = value
  if (typeof name !== 'string' || typeof host !== 'string' || host === '') return undefined
  if (!isCount(port) || port < 1 || port > 65_535) return undefined
  return { name, host, port }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isFiniteNumber(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value)
}

function isCount(value: unknown): value is number {
  return isFiniteNumber(value) && Number.isSafeInteger(value) && value >= 0
}
