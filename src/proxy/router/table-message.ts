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
 * The table on this host's clock. Where sender and receiver share a boot, the sender's deadline holds as it is;
 * otherwise it counts from `askedAt`, which must be from before the question was sent (safety.md 31). Without either
 * it is already void.
 */
export function tableFrom(
  message: RoutingTableMessage,
  local: { readonly bootId: string; readonly askedAt?: number },
): RoutingTable {
  const { validForMs, validUntil, bootId, ...table } = message
  if (validUntil !== undefined && bootId === local.bootId) {
    return Object.freeze({ ...table, validUntil: validUntil as MonotonicMs })
  }
  const counted = local.askedAt === undefined ? Number.NEGATIVE_INFINITY : local.askedAt + validForMs
  return Object.freeze({ ...table, validUntil: counted as MonotonicMs })
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
