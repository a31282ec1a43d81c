import type { AckPolicy } from '../model/ack-rule.ts'
import type { EpochRecord } from '../model/epoch-record.ts'
import { plus, type MonotonicMs } from '../model/time.ts'
import { FENCE_BEFORE_RESET_MS, watchdogTimeoutMaxS, type WatchdogPlan } from '../model/watchdog.ts'
import { MiB, SECOND } from '../std/units.ts'

/**
 * Every number that the HA core judges by, in one place. The profiles are those of safety.md §3: `lan` for one rack or
 * zone, `noisy` for virtual machines whose host steals time, `wan` for links between sites.
 */
export type Policy = {
  readonly profile: ProfileName
  readonly heartbeatMs: number
  /** A member that was not heard for so long counts as unreachable. */
  readonly silenceLimitMs: number
  readonly leaseTtlMs: number
  /** The holder stops this long before its lease can run out: time to stop routers and to kill PostgreSQL. */
  readonly killMarginMs: number
  /** The watchdog of a host ends it so long before its lease can run out; absent where none is used. */
  readonly watchdogMarginMs?: number
  /** A silent holder without guard and watchdog is taken over from all the same, when its lease is over (safety.md 20). */
  readonly trustsUnfenced: boolean
  /** ρ: how far two clocks may drift apart; the judge waits ttl × (1 + 2ρ) + margin. */
  readonly clockDrift: number
  readonly judgeMarginMs: number
  /** How long a released lease is reserved for the member that it was handed to. */
  readonly handoverTtlMs: number
  /** From cold, a standby waits so long for members that it has not heard yet before it takes a lease. */
  readonly coldStartWaitMs: number
  readonly maximumLagBytes: number
  /** How long a crashed primary is restarted in place before another member takes over. */
  readonly primaryStartTimeoutMs: number
  /** How commits wait for standbys; absent: they do not. */
  readonly acks?: AckPolicy
  readonly writePath: WritePathPolicy
  /** How long a primary whose commits wait for others runs on without a lease (safety.md 19). */
  readonly storeGraceMs: number
  /** How long a planned hand-over waits for statements and transactions to end. */
  readonly drainTimeoutMs: number
}

/** How a member judges whether writing works on it (safety.md 24). */
export type WritePathPolicy = {
  /** A try begins so often. */
  readonly periodMs: number
  /** A try that has not come back by then is a miss. */
  readonly lateMs: number
  /** So many tries in a row that are missed convict. */
  readonly misses: number
  /** A candidate whose disk needs longer than this is no better than one that stalls. */
  readonly goodMs: number
  /** A candidate with less room would be full soon, too. */
  readonly roomBytes: number
  /** A primary with less room than this can make no file longer. */
  readonly fullBytes: number
}

/** While a try is out, its agent looks so often how long it has been. */
export const TRY_LOOK_MS = 100

/**
 * When a primary is convicted, a candidate's word that its disk is good may be so old. Had both begun to stall in the same moment, the
 * candidate would have said no such thing any more; one that fell silent before it had noticed is not known to be better.
 */
export function goodWordMs({ periodMs, lateMs, misses, goodMs }: WritePathPolicy): number {
  const convictedAfterMs = lateMs + (misses - 1) * periodMs
  const toldAfterMs = periodMs + goodMs + TRY_LOOK_MS
  return convictedAfterMs - toldAfterMs
}

export type ProfileName = 'lan' | 'noisy' | 'wan'

type Timing = Pick<Policy, 'heartbeatMs' | 'silenceLimitMs' | 'leaseTtlMs' | 'killMarginMs' | 'writePath'>

const writePath: WritePathPolicy = {
  periodMs: 500,
  lateMs: 700,
  misses: 2,
  goodMs: 200,
  roomBytes: 128 * MiB,
  fullBytes: MiB,
}

const profiles: Readonly<Record<ProfileName, Timing>> = {
  lan: {
    heartbeatMs: 100,
    silenceLimitMs: 800,
    leaseTtlMs: 3 * SECOND,
    killMarginMs: 300,
    writePath,
  },
  noisy: {
    heartbeatMs: 200,
    silenceLimitMs: 3 * SECOND,
    leaseTtlMs: 9 * SECOND,
    killMarginMs: 600,
    // A stolen second is no stalled disk, where seconds are stolen.
    writePath: { ...writePath, periodMs: SECOND, lateMs: 2500 },
  },
  wan: {
    heartbeatMs: 300,
    silenceLimitMs: 3 * SECOND,
    leaseTtlMs: 10 * SECOND,
    killMarginMs: 600,
    writePath,
  },
}

/** The policy of a profile, with what the operator set instead. */
export function policyOf(
  profile: ProfileName,
  chosen: Partial<
    Pick<
      Policy,
      | 'leaseTtlMs'
      | 'maximumLagBytes'
      | 'primaryStartTimeoutMs'
      | 'acks'
      | 'storeGraceMs'
      | 'drainTimeoutMs'
      | 'watchdogMarginMs'
      | 'trustsUnfenced'
    >
  > = {},
): Policy {
  const timing = profiles[profile]
  const { watchdogMarginMs } = chosen
  return {
    profile,
    trustsUnfenced: false,
    clockDrift: 0.01,
    judgeMarginMs: 100,
    handoverTtlMs: 3 * SECOND,
    coldStartWaitMs: 10 * SECOND,
    maximumLagBytes: MiB,
    primaryStartTimeoutMs: 0,
    storeGraceMs: 30 * SECOND,
    drainTimeoutMs: 2 * SECOND,
    ...timing,
    ...chosen,
    // Order: the guard ends PostgreSQL before the watchdog ends the host, and that before the lease ends.
    ...(watchdogMarginMs === undefined
      ? {}
      : { killMarginMs: Math.max(timing.killMarginMs, watchdogMarginMs + FENCE_BEFORE_RESET_MS) }),
  }
}

/** What the guard has to know of a watchdog on this device; `undefined` where none is used. */
export function watchdogPlan(
  { watchdogMarginMs, leaseTtlMs, killMarginMs }: Policy,
  device: string,
): WatchdogPlan | undefined {
  if (watchdogMarginMs === undefined) return undefined
  return {
    device,
    timeoutMaxS: watchdogTimeoutMaxS(leaseTtlMs, watchdogMarginMs),
    afterDeadlineMs: killMarginMs - watchdogMarginMs,
  }
}

/** How long a judge waits from its first sight of a record before it may take it (safety.md 15). */
export function judgeWaitMs(policy: Policy, ttlMs: number): number {
  return ttlMs * (1 + 2 * policy.clockDrift) + policy.judgeMarginMs
}

/**
 * Until when a primary may run that cannot renew a lease proven until then. Where the record says who has to have its commits, nobody
 * takes over but by revocation: an acknowledgement is itself the proof that none has finished, so a lost store need not end it. Not
 * where this node is to leave that mode: then the lease counts from the moment on at which the record says so.
 */
export function runsUntil(
  policy: Policy,
  record: EpochRecord | undefined,
  provenUntil: MonotonicMs,
): MonotonicMs {
  return record?.acks && policy.acks ? plus(provenUntil, policy.storeGraceMs) : provenUntil
}
