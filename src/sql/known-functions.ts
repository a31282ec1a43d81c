import type { QualifiedName } from './analysis.ts'
import type { SessionEffect } from './session-effect.ts'
import type { Reason, VerdictKind } from './verdict.ts'

/** What a function is known for, whatever a catalog says of its volatility. */
export type KnownFunction = {
  readonly kind: VerdictKind
  readonly reason: Reason
  readonly effect?: SessionEffect
}

const pin = (cause: Extract<SessionEffect, { kind: 'pin' }>['cause']): SessionEffect => ({
  kind: 'pin',
  cause,
})

const write = (reason: Reason, effect?: SessionEffect): KnownFunction => ({
  kind: 'write',
  reason,
  ...(effect === undefined ? {} : { effect }),
})
const unknown = (reason: Reason, effect?: SessionEffect): KnownFunction => ({
  ...write(reason, effect),
  kind: 'unknown',
})

const ADVISORY_LOCK = write('USES_ADVISORY_LOCK', pin('advisory-lock'))
const SEQUENCE = write('USES_SEQUENCE')
const TRANSACTION_ID = write('USES_TRANSACTION_ID')
const ASKS_THE_NODE = unknown('ASKS_THE_NODE')

/** By name alone: whoever makes one of the same name elsewhere loses a read on a replica, and nothing else. */
const BY_NAME: ReadonlyMap<string, KnownFunction> = new Map(
  Object.entries({
    nextval: SEQUENCE,
    setval: SEQUENCE,
    // They answer from the backend that gave the last value: later is too late to keep it, but no other may answer either.
    currval: unknown('NEEDS_ITS_SESSION', pin('sequence-value')),
    lastval: unknown('NEEDS_ITS_SESSION', pin('sequence-value')),
    // On a standby they work, and lock nothing that anybody else sees.
    pg_advisory_lock: ADVISORY_LOCK,
    pg_advisory_lock_shared: ADVISORY_LOCK,
    pg_try_advisory_lock: ADVISORY_LOCK,
    pg_try_advisory_lock_shared: ADVISORY_LOCK,
    pg_advisory_unlock_all: write('USES_ADVISORY_LOCK', { kind: 'unpin', cause: 'advisory-lock' }),
    setseed: unknown('CHANGES_SESSION', pin('random-seed')),
    pg_notify: write('NOTIFIES'),
    txid_current: TRANSACTION_ID,
    pg_current_xact_id: TRANSACTION_ID,
    pg_export_snapshot: unknown('ASKS_THE_NODE'),
    dblink_connect: write('REACHES_OUT', pin('remote-connection')),
    dblink_connect_u: write('REACHES_OUT', pin('remote-connection')),
    loread: write('USES_LARGE_OBJECT'),
    lowrite: write('USES_LARGE_OBJECT'),
    inet_server_addr: ASKS_THE_NODE,
    inet_server_port: ASKS_THE_NODE,
    inet_client_addr: ASKS_THE_NODE,
    inet_client_port: ASKS_THE_NODE,
    query_to_xml: write('RUNS_CODE'),
    query_to_xmlschema: write('RUNS_CODE'),
    query_to_xml_and_xmlschema: write('RUNS_CODE'),
    ts_stat: write('RUNS_CODE'),
    ts_rewrite: write('RUNS_CODE'),
  }),
)

const BY_PREFIX: readonly (readonly [string, KnownFunction])[] = [
  ['pg_advisory_', write('USES_ADVISORY_LOCK')],
  ['pg_try_advisory_', write('USES_ADVISORY_LOCK')],
  ['lo_', write('USES_LARGE_OBJECT')],
  ['dblink', write('REACHES_OUT')],
  ['txid_', ASKS_THE_NODE],
]

/** Of those that begin with pg_: what neither looks into the catalog nor says anything about the node. */
const HARMLESS = new Set([
  'pg_client_encoding',
  'pg_column_size',
  'pg_input_error_info',
  'pg_input_is_valid',
  'pg_size_bytes',
  'pg_size_pretty',
  'pg_sleep',
  'pg_sleep_for',
  'pg_sleep_until',
  'pg_typeof',
])

/** What is known of a function by its name; `undefined`: the catalog decides. */
export function knownFunction({ schema, name }: QualifiedName): KnownFunction | undefined {
  const known = BY_NAME.get(name) ?? BY_PREFIX.find(([prefix]) => name.startsWith(prefix))?.[1]
  if (known !== undefined) return known
  if (HARMLESS.has(name) || !name.startsWith('pg_')) return schema === 'pg_temp' ? ASKS_THE_NODE : undefined
  return ASKS_THE_NODE
}

/**
 * PostgreSQL's own functions that it calls volatile, since each call may give another value, and which neither write nor
 * differ between primary and standby.
 */
export const HARMLESS_VOLATILE: ReadonlySet<string> = new Set([
  'clock_timestamp',
  'gen_random_uuid',
  'pg_sleep',
  'pg_sleep_for',
  'pg_sleep_until',
  'random',
  'random_normal',
  'timeofday',
  'uuidv4',
  'uuidv7',
])
