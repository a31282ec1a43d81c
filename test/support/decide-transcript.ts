import {
  synchronousNamesOf,
  walNameOf,
  type AckLink,
  type AckMember,
  type AckMode,
  type AckRule,
  type Pledge,
} from '../../src/model/ack-rule.ts'
import type { EpochLink, EpochRecord, StepDownReason } from '../../src/model/epoch-record.ts'
import type { InstanceFacts, MemberFacts, WritePathFacts } from '../../src/model/member.ts'
import type { MonotonicMs } from '../../src/model/time.ts'
import type { MemberTags } from '../../src/model/member-tags.ts'
import type { WatchdogFacts } from '../../src/model/watchdog.ts'
import { decide } from '../../src/ha/decide/decide.ts'
import type { Action } from '../../src/ha/decision.ts'
import { policyOf } from '../../src/ha/policy.ts'
import type { ConfirmedDown, KnockAnswer, LocalFacts, PeerFacts, Snapshot } from '../../src/ha/snapshot.ts'

/*
 * Runs the transcripts of `ha/decide`: text that a PostgreSQL engineer reads without knowing the code.
 *
 *   member n1 primary flush=0/5000 …     what each member's PostgreSQL says
 *   record holder=n1 epoch=7 open …      the epoch record, and how long ago it last changed (age=ms)
 *   set n2 guard=absent …                facts that only the node itself knows
 *   record … pledging acks=7:n1:1/n2,n3  who has to have the commits of epoch 7 of n1: one of n2, n3; `;` between epochs
 *   member n2 … pledge=8@1/0/6000        its promise: epoch 8, on timeline 1 with WAL up to 0/6000
 *   member n1 … senders=n2,n3            who streams from it
 *   set n2 watchdog=required:unfit       what its watchdog is; `member n3 … watchdog=` what another one's is
 *   record … unfenced                    renewed last while nothing but its agent could have ended its PostgreSQL
 *   set n1 path=stalled:1300             its tries to write, and for how long they have not come back; `member n2 … path=good`
 *   set n1 convicted=7:DISK_FULL         it ended its PostgreSQL itself in that epoch; `:2500`: so long ago
 *   set n3 witness=yes                   it has no database; `member n3 absent witness=yes` as the others hear it
 *   policy primaryStartTimeoutMs=5000    changes what is judged by
 *   policy acks=quorum                   commits wait for standbys; or `strict`, `async`
 *   decide n2                            prints stance, reason, actions
 */

const NOW = 1_000_000
const MEMBERS_START = 60_000

/** Those that are about a rule of the transcripts; the others are tested where they are made. */
const SPOKEN_FINDINGS: readonly string[] = [
  'HOLDER_UNFENCED',
  'WATCHDOG_UNUSABLE',
  'WRITE_PATH_STALLED',
  'DISK_FULL',
  'NO_CONNECTION_SLOTS',
]

type Pairs = Record<string, string>

type Member = {
  readonly name: string
  readonly instance: InstanceFacts
  readonly options: Pairs
}

type World = {
  members: Map<string, Member>
  record: EpochRecord | undefined
  recordOptions: Pairs
  own: Map<string, Pairs>
  cluster: Pairs
  policy: Pairs
}

export function newWorld(): World {
  return { members: new Map(), record: undefined, recordOptions: {}, own: new Map(), cluster: {}, policy: {} }
}

/** Runs one command line and returns what it prints. */
export function runCommand(world: World, line: string): string {
  const [command, ...words] = line.trim().split(/\s+/)
  switch (command) {
    case 'member':
      return setMember(world, words)
    case 'record':
      return setRecord(world, words)
    case 'set':
      return setOwn(world, words)
    case 'cluster':
      world.cluster = { ...world.cluster, ...pairsOf(words) }
      return 'ok'
    case 'policy':
      world.policy = { ...world.policy, ...pairsOf(words) }
      return 'ok'
    case 'decide':
      return decideFor(world, words[0] ?? '')
    default:
      throw new Error(`unknown command "${command}"`)
  }
}

function setMember(world: World, words: readonly string[]): string {
  const [name = '', kind = '', ...rest] = words
  const options = pairsOf(rest)
  const state = kind === 'primary' || kind === 'standby' ? 'running' : kind
  const instance: InstanceFacts = {
    state: state as InstanceFacts['state'],
    ...(kind === 'primary' || kind === 'standby' ? { role: kind } : {}),
    ...(options['role'] === undefined ? {} : { role: options['role'] as 'primary' | 'standby' }),
    systemId: options['system'] ?? '42',
    timeline: Number(options['timeline'] ?? 1),
    flushLsn: options['flush'] ?? '0/5000',
    replayLsn: options['replay'] ?? options['flush'] ?? '0/5000',
    ...(options['oldest'] === undefined ? {} : { oldestWal: options['oldest'] }),
    ...(kind === 'standby' ? { streaming: options['streaming'] !== 'no' } : {}),
    ...(options['senders'] === undefined ? {} : { walSenders: sendersOf(options['senders']) }),
    ...(options['waits'] === undefined ? {} : { synchronousNames: namesOf(options['waits']) }),
  }
  world.members.set(name, { name, instance, options })
  return 'ok'
}

/** `key=` without a value takes the fact back. */
function setOwn(world: World, [name = '', ...words]: readonly string[]): string {
  const pairs = { ...world.own.get(name), ...pairsOf(words) }
  world.own.set(name, Object.fromEntries(Object.entries(pairs).filter(([, value]) => value !== '')))
  return 'ok'
}

function setRecord(world: World, words: readonly string[]): string {
  if (words[0] === 'none') {
    world.record = undefined
    return 'ok'
  }
  const options = pairsOf(words)
  const state = words.find((word) => ['open', 'authorised', 'released', 'pledging'].includes(word)) ?? 'open'
  const epoch = Number(options['epoch'] ?? 1)
  const chain: EpochLink[] = (options['chain'] ?? '1@0/0').split(',').map((link, index) => {
    const [timeline = '1', forkLsn = '0/0'] = link.split('@')
    return {
      epoch: Number(options[`epoch${timeline}`] ?? index + 1),
      holder: 'n1',
      timeline: Number(timeline),
      forkLsn,
      ...(options[`abandoned${timeline}`] === undefined
        ? {}
        : { abandonedIn: Number(options[`abandoned${timeline}`]) }),
      openedAt: '2026-01-01T00:00:00.000Z',
      reason: 'BOOTSTRAP',
      takeover: index === 0 ? 'bootstrap' : 'lease',
    }
  })
  const reason = (options['reason'] ?? 'PRIMARY_CRASHED') as NonNullable<EpochRecord['release']>['reason']
  world.recordOptions = options
  world.record = {
    epoch,
    holder: options['holder'] ?? 'n1',
    incarnation: options['incarnation'] ?? `disk-${options['holder'] ?? 'n1'}`,
    seq: 10,
    ttlMs: 3000,
    state: state as EpochRecord['state'],
    reason: state === 'pledging' ? 'PRIMARY_SILENT' : 'BOOTSTRAP',
    systemId: options['system'] === 'none' ? '' : '42',
    timeline: chain.at(-1)?.timeline ?? 1,
    position: options['position'] ?? '0/5000',
    ...(words.includes('unfenced') ? { isUnfenced: true } : {}),
    ...(options['given'] === undefined ? {} : { givenTimeline: Number(options['given']) }),
    ...(state === 'released'
      ? {
          release: {
            endLsn: options['end'] ?? '0/5000',
            reason,
            ...(options['to'] === undefined ? {} : { to: options['to'] }),
          },
        }
      : {}),
    chain,
    ...(options['acks'] === undefined ? {} : { acks: options['acks'].split(';').map(ackLinkOf) }),
  }
  return 'ok'
}

/** `epoch:holder:rule`, and `>rule` for one that is on its way. */
function ackLinkOf(text: string): AckLink {
  const [epoch = '', holder = '', rules = ''] = text.split(':')
  const [rule = '', next] = rules.split('>')
  return {
    epoch: Number(epoch),
    holder: diskOf(holder),
    rule: ackRuleOf(rule),
    ...(next === undefined ? {} : { next: ackRuleOf(next) }),
  }
}

/** `k/members`. */
function ackRuleOf(text: string): AckRule {
  const [k = '0', members = ''] = text.split('/')
  return { k: Number(k), members: members === '' ? [] : members.split(',').map((name) => diskOf(name)) }
}

/** The data directory that a member has had since its first day. */
function diskOf(name: string): AckMember {
  return { name, incarnation: `disk-${name}` }
}

/** `epoch@timeline/LSN`. */
function pledgeOf(name: string, text: string): Pledge {
  const [, epoch, timeline, flushLsn = ''] = /^(\d+)@(\d+)\/(.*)$/.exec(text) ?? []
  return { ...diskOf(name), epoch: Number(epoch), timeline: Number(timeline), flushLsn }
}

function sendersOf(text: string): NonNullable<InstanceFacts['walSenders']> {
  return text.split(',').map((name, index) => ({
    name: walNameOf(diskOf(name)),
    pid: 100 + index,
    state: 'streaming',
    syncPriority: 1,
  }))
}

function namesOf(rule: string): string {
  return synchronousNamesOf(ackRuleOf(rule), { method: 'ANY', isStrict: false })
}

function acksOf(mode = 'async'): { acks?: AckMode } {
  return mode === 'async' ? {} : { acks: { method: 'ANY', isStrict: mode === 'strict' } }
}

function decideFor(world: World, self: string): string {
  const decision = decide(snapshotOf(world, self))
  const { kind, reason, sentence, keepLease } = decision.stance
  const lines = [`${kind} ${reason}${keepLease ? ' (keeps the lease)' : ''}`, `  ${sentence}`]
  const { suspects, leavesAckRule } = decision.told
  if (suspects) lines.push(`  tells that the holder of epoch ${suspects.epoch} is gone`)
  if (leavesAckRule) lines.push('  tells that it must not be counted on')
  for (const { code, message } of decision.findings)
    if (SPOKEN_FINDINGS.includes(code)) lines.push(`  finds ${code}: ${message}`)
  for (const action of decision.actions) lines.push(`  act ${describeAction(action)}`)
  return lines.join('\n')
}

function describeAction(action: Action): string {
  const { kind, ...rest } = action
  const words = Object.entries(rest).map(([key, value]) => {
    if (typeof value !== 'object' || value === null) return `${key}=${JSON.stringify(value)}`
    if ('name' in value) return `${key}=${String(value.name)}`
    return 'members' in value ? `${key}=${describeRule(value)}` : `${key}=${JSON.stringify(value)}`
  })
  return [kind, ...words].join(' ')
}

function describeRule({ k, members }: AckRule): string {
  return `${k}/${members.map(({ name }) => name).join(',')}`
}

/** What a member would decide on. */
export function snapshotOf(world: World, self: string): Snapshot {
  const own = world.own.get(self) ?? {}
  const names = (world.cluster['members'] ?? [...world.members.keys()].join(',')).split(',')
  const age = Number(own['age'] ?? world.recordOptions['age'] ?? 100)
  const isHolder = world.record?.holder === self
  const proven = own['proven'] ?? (isHolder && age < 2700 ? 'yes' : 'no')
  return {
    takenAt: NOW as MonotonicMs,
    self,
    members: names,
    leaving: world.cluster['leaving']?.split(',') ?? [],
    policy: {
      ...policyOf('lan'),
      ...Object.fromEntries(
        Object.entries(world.policy)
          .filter(([key]) => key !== 'acks')
          .map(([key, value]) => [key, Number(value)]),
      ),
      ...acksOf(world.policy['acks']),
    },
    ...(own['knock'] === undefined
      ? {}
      : { holderAnswers: { answer: own['knock'] as KnockAnswer, at: (NOW - 100) as MonotonicMs } }),
    initialiser: names[0] ?? '',
    agentUptimeMs: Number(own['uptime'] ?? MEMBERS_START),
    attentiveSince: (NOW - MEMBERS_START) as MonotonicMs,
    stopping: own['stopping'] !== undefined,
    stoppingForMs: Number(own['stopping'] ?? 0),
    store: {
      hasQuorum: own['quorum'] !== 'no',
      quorumChangedAt: (NOW - Number(own['quorumAge'] ?? MEMBERS_START)) as MonotonicMs,
      ...(world.record ? { record: world.record } : {}),
      recordRevision: world.record ? 99 : 0,
      firstSeenAt: (NOW - age) as MonotonicMs,
      provenUntil: (proven === 'yes'
        ? NOW + 1000
        : proven === 'no'
          ? 0
          : NOW - Number(proven)) as MonotonicMs,
      ...confirmedDownOf(world.cluster['confirmedDown']),
      paused: world.cluster['paused'] === 'yes',
      ...(own['request'] === undefined
        ? {}
        : {
            request: {
              revision: 7,
              ...(own['request'] === 'any' ? {} : { to: own['request'] }),
              ...(own['asked'] === undefined ? {} : { from: own['asked'] }),
            },
          }),
      addresses: Object.fromEntries(
        [...world.members.keys()].map((name) => [name, { host: name, port: 5432 }]),
      ),
    },
    local: localOf(world, self, own),
    peers: peersOf(world, self, age),
  }
}

function localOf(world: World, self: string, own: Pairs): LocalFacts {
  const member = world.members.get(self)
  const instance = member?.instance ?? { state: 'absent' as const }
  const isDown = instance.state === 'stopped' || instance.state === 'crashed'
  const directory = own['directory'] ?? (instance.state === 'absent' ? 'absent' : 'instance')
  const following = own['following'] ?? world.record?.holder
  return {
    managed: own['managed'] !== 'no' && own['witness'] !== 'yes',
    ...(own['witness'] === 'yes' ? { isWitness: true } : {}),
    directory: directory as LocalFacts['directory'],
    ...(directory === 'instance' ? { incarnation: own['incarnation'] ?? `disk-${self}` } : {}),
    instance: directory === 'instance' ? instance : { state: 'absent' },
    ...(own['job'] === undefined ? {} : { job: own['job'] as NonNullable<LocalFacts['job']> }),
    ...(isDown
      ? { stoppedWal: { timeline: instance.timeline ?? 1, endLsn: instance.flushLsn ?? '0/0' } }
      : {}),
    ...(own['promoted'] === undefined ? {} : { promotedInEpoch: Number(own['promoted']) }),
    ...(own['crashed'] === undefined ? {} : { crashedAt: (NOW - Number(own['crashed'])) as MonotonicMs }),
    startFailures: Number(own['failures'] ?? 0),
    cloneFailures: Number(own['cloneFailures'] ?? 0),
    ...(own['rewind'] === undefined ? {} : { rewindObstacle: own['rewind'].replaceAll('_', ' ') }),
    ...(own['rewindFailed'] === undefined
      ? {}
      : { rewindFailure: { times: Number(own['rewindFailed']), why: 'it is refused' } }),
    ...(own['reinit'] === undefined ? {} : { reinitAsked: true }),
    ...(own['unconfigured'] === undefined ? {} : { unconfigured: true }),
    ...(own['restart'] === undefined ? {} : { restartAsked: true }),
    ...(own['released'] === undefined ? {} : { guardReleased: true }),
    retryAt: (own['retry'] === undefined ? 0 : NOW + Number(own['retry'])) as MonotonicMs,
    ...(following === undefined || following === 'none'
      ? {}
      : { following: { host: following, port: 5432 } }),
    ...(own['unstreamed'] === undefined
      ? {}
      : { unstreamedSince: (NOW - Number(own['unstreamed'])) as MonotonicMs }),
    ...writePathOf(own),
    ...convictedOf(own),
    unstreamedStops: Number(own['stops'] ?? 0),
    guard: (own['guard'] ?? 'idle') as LocalFacts['guard'],
    ...watchdogOf(own),
    ...tagsOf(world.members.get(self)?.options),
    provedLease: own['proved'] !== 'no',
    setAside: Number(own['aside'] ?? 0),
    streamedAt: streamedAtOf(member?.options ?? {}),
    ...(member?.options['pledge'] === undefined ? {} : { pledge: pledgeOf(self, member.options['pledge']) }),
  }
}

/** `mode:state`. */
function watchdogOf({ watchdog }: Pairs): { watchdog?: WatchdogFacts } {
  if (watchdog === undefined) return {}
  const [mode, state] = watchdog.split(':') as [WatchdogFacts['mode'], WatchdogFacts['state']]
  const isThere = state === 'armed' || state === 'usable'
  return { watchdog: { mode, state, ...(isThere ? {} : { why: 'its timeout is too long' }) } }
}

function writePathOf({ path }: Pairs): { writePath?: NonNullable<LocalFacts['writePath']> } {
  if (path === undefined) return {}
  const [state = '', ms] = path.split(':')
  const stalled = ms === undefined ? {} : { stalledSince: (NOW - Number(ms)) as MonotonicMs }
  return { writePath: { state: state as WritePathFacts['state'], ...stalled } }
}

function convictedOf({ convicted }: Pairs): { convicted?: NonNullable<LocalFacts['convicted']> } {
  if (convicted === undefined) return {}
  const [epoch, reason, ms = 50] = convicted.split(':')
  const at = (NOW - Number(ms)) as MonotonicMs
  return { convicted: { epoch: Number(epoch), reason: reason as StepDownReason, at } }
}

/** Who streams now did so just now; `away=n2:2000`: who does not, and since when. */
function streamedAtOf(options: Pairs): LocalFacts['streamedAt'] {
  const now = (options['senders'] ?? '').split(',').map((name) => [name, '0'])
  const away = (options['away'] ?? '').split(',').map((word) => word.split(':'))
  return Object.fromEntries(
    [...now, ...away]
      .filter(([name]) => name !== '')
      .map(([name = '', ms]) => [walNameOf(diskOf(name)), (NOW - Number(ms)) as MonotonicMs]),
  )
}

function peersOf(world: World, self: string, age: number): readonly PeerFacts[] {
  const { record } = world
  return [...world.members.values()]
    .filter(({ name, options }) => name !== self && options['heard'] !== 'never')
    .map(({ name, instance, options }) => {
      const facts: MemberFacts = {
        name,
        ...(options['witness'] === 'yes' ? {} : { incarnation: options['incarnation'] ?? `disk-${name}` }),
        host: name,
        port: 5432,
        apiUrl: `http://${name}:8008`,
        agentUptimeMs: MEMBERS_START,
        guard: (options['guard'] ?? 'idle') as MemberFacts['guard'],
        ...watchdogOf(options),
        ...tagsOf(options),
        ...(options['witness'] === 'yes' ? { witness: true } : {}),
        instance,
        ...writePathOf(options),
        stopping: options['stopping'] === 'yes',
        seen: {
          epoch: record?.epoch ?? 0,
          seq: options['read'] === 'no' ? 0 : (record?.seq ?? 0),
          state: record?.state ?? 'none',
          expired: age > 3160,
          witnessed: options['witnessed'] !== 'no',
        },
        ...(options['pledge'] === undefined ? {} : { pledge: pledgeOf(name, options['pledge']) }),
        ...(options['suspects'] === undefined ? {} : { suspects: { epoch: Number(options['suspects']) } }),
        version: '0',
      }
      return { name, facts, heardAt: (NOW - Number(options['heard'] ?? 50)) as MonotonicMs }
    })
}

function pairsOf(words: readonly string[]): Pairs {
  const pairs: Pairs = {}
  for (const word of words) {
    const [key = '', value] = word.split('=')
    if (value !== undefined) pairs[key] = value
  }
  return pairs
}

/** `EPOCH@SEQ` */
function confirmedDownOf(text: string | undefined): { confirmedDown?: ConfirmedDown } {
  if (text === undefined) return {}
  const [epoch, seq] = text.split('@').map(Number)
  return { confirmedDown: { epoch: epoch ?? 0, seq: seq ?? 0 } }
}

/** `tags=nofailover,nosync,failover_priority:5` */
function tagsOf(options: Pairs | undefined): { tags?: MemberTags } {
  const text = options?.['tags']
  if (text === undefined) return {}
  const tags = text.split(',').map((tag) => {
    const [name = '', value] = tag.split(':')
    return [name, value === undefined ? true : Number(value)]
  })
  return { tags: Object.fromEntries(tags) as MemberTags }
}
