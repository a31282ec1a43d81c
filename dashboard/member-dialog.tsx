import type { ClusterView, MemberView } from '#client'
import type { DialogProps } from './asked.ts'
import { bytes, duration, moment, serverVersion } from './format.ts'
import { colourOf } from './member-colour.ts'
import { holderOf } from './topology.ts'
import { memberTrouble } from './verdict.ts'

type Fact = readonly [name: string, value: string | undefined]

/** All that is known of one member, and what can be done with it. */
export function MemberDialog({ cluster, view, ask, name }: DialogProps & { readonly name: string }) {
  const member = view.members.find(({ facts }) => facts.name === name)
  if (!member) return <h2 id="dialog-title">{name} is no member any more</h2>
  const trouble = memberTrouble(member, view)
  const isHolder = holderOf(view) === name
  const mayAct = cluster.token !== undefined
  return (
    <>
      <h2 id="dialog-title">
        <i class={`dot ${colourOf(name, view)}`} /> {name}
        {isHolder && <span class="role primary">primary</span>}
      </h2>
      {trouble && (
        <p class={`trouble tone-${trouble.tone}`}>
          <strong>{trouble.text}</strong>
          {trouble.advice && <span class="advice">{trouble.advice}</span>}
        </p>
      )}
      <dl class="facts">
        {[...instanceFacts(member, view), ...nodeFacts(member, view)].map(([label, value]) =>
          value === undefined ? null : (
            <div key={label}>
              <dt>{label}</dt>
              <dd>{value}</dd>
            </div>
          ),
        )}
      </dl>
      {!mayAct && <p class="fine">Read only: press t to enter the token.</p>}
      <Acts
        {...{ name, isHolder, mayAct, ask }}
        isAwaited={
          view.record?.holder === name && view.findings.some(({ code }) => code === 'HOLDER_UNFENCED')
        }
        unfit={cluster.live.estimate?.candidates.find((one) => one.name === name)?.why}
      />
    </>
  )
}

type ActsProps = Pick<DialogProps, 'ask'> & {
  readonly name: string
  readonly isHolder: boolean
  readonly mayAct: boolean
  /** The others wait for somebody's word that it is down. */
  readonly isAwaited: boolean
  /** Why it cannot become primary now. */
  readonly unfit: string | undefined
}

function Acts({ name, isHolder, mayAct, isAwaited, unfit, ask }: ActsProps) {
  return (
    <div class="dialog-acts">
      <button type="button" onClick={() => ask(undefined)}>
        Close
      </button>
      {isAwaited && (
        <button
          type="button"
          class="danger-text"
          disabled={!mayAct}
          onClick={() => ask({ kind: 'confirm-down', name })}
        >
          It is down …
        </button>
      )}
      <button type="button" disabled={!mayAct} onClick={() => ask({ kind: 'restart', name })}>
        Restart …
      </button>
      {!isHolder && (
        <>
          <button
            type="button"
            class="danger-text"
            disabled={!mayAct}
            onClick={() => ask({ kind: 'remove', name })}
          >
            Remove …
          </button>
          <button type="button" disabled={!mayAct} onClick={() => ask({ kind: 'reinit', name })}>
            Clone anew …
          </button>
          <button
            type="button"
            class="primary"
            title={unfit}
            disabled={!mayAct || unfit !== undefined}
            onClick={() => ask({ kind: 'switchover', to: name })}
          >
            Make primary …
          </button>
        </>
      )}
      {isHolder && (
        <button type="button" class="primary" disabled={!mayAct} onClick={() => ask({ kind: 'switchover' })}>
          Switchover …
        </button>
      )}
    </div>
  )
}

function instanceFacts({ facts, lagBytes, reachable }: MemberView, view: ClusterView): readonly Fact[] {
  const { instance, activity } = facts
  const now = Date.parse(view.takenAt)
  const stream = view.streams.find(({ to }) => to === facts.name)
  const lag = stream?.flushLagBytes ?? (reachable ? lagBytes : undefined)
  return [
    [
      'PostgreSQL',
      [instance.serverVersion && serverVersion(instance.serverVersion), instance.state]
        .filter(Boolean)
        .join(', '),
    ],
    ['Address', `${facts.host}:${facts.port}`],
    ['Timeline', instance.timeline?.toString()],
    ['WAL on its disk to', instance.flushLsn],
    ['Replayed to', instance.role === 'standby' ? instance.replayLsn : undefined],
    ['Behind the primary', instance.role === 'standby' && lag !== undefined ? bytes(lag) : undefined],
    ['Streams from', stream?.from],
    ['Commits can wait for it', stream ? (stream.isSync ? 'yes' : 'no') : undefined],
    [
      'Sessions',
      activity && `${activity.connections} of ${activity.connectionsMax}, ${activity.active} in a statement`,
    ],
    ['Started', instance.startedAt && moment(Date.parse(instance.startedAt), now)],
    ['Waits for a restart', instance.pendingRestart?.join(', ')],
  ]
}

function nodeFacts({ facts, heardMsAgo, reachable }: MemberView, view: ClusterView): readonly Fact[] {
  const { writePath, watchdog, guard, routerPorts } = facts
  const own = facts.name === view.self
  const pids = Object.entries(view.pids).map(([what, pid]) => `${what} ${pid}`)
  return [
    [
      'Writing',
      writePath &&
        [writePath.state, writePath.latencyMs !== undefined && `a try took at most ${writePath.latencyMs} ms`]
          .filter(Boolean)
          .join(', '),
    ],
    ['Guard', watchdog ? `${guard}, watchdog ${watchdog.state}` : guard],
    [
      'Router',
      routerPorts &&
        `${routerPorts.primary} writes, ${routerPorts.replica} reads, ${routerPorts.pooled} pooled`,
    ],
    ...view.queries
      .filter(() => own)
      .map(({ port, clients, waiting, errors }): Fact => [
        `Clients, ${port}`,
        `${clients}, ${waiting} wait; ${errors} errors so far`,
      ]),
    ['Agent', `${facts.version}, up for ${duration(facts.agentUptimeMs)}`],
    [
      'Heard',
      own
        ? 'draws this page'
        : heardMsAgo === undefined
          ? 'never'
          : reachable
            ? 'now'
            : `${duration(heardMsAgo)} ago`,
    ],
    ['Processes', own ? pids.join(', ') : undefined],
  ]
}
