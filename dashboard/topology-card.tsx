import type { ClusterView, MemberView, StreamView } from '#client'
import type { Asked } from './asked.ts'
import { bytes, digits, duration } from './format.ts'
import type { Live } from './live-cluster.ts'
import { colourOf } from './member-colour.ts'
import { holderOf, topologyOf, type Edge } from './topology.ts'
import { memberTrouble } from './verdict.ts'

type Props = { view: ClusterView; live: Live; mayAct: boolean; ask: (asked: Asked) => void }

/** Who is primary, who streams from whom and how far behind, who votes, where the routers are. */
export function TopologyCard({ view, live, mayAct, ask }: Props) {
  const { rows, edges } = topologyOf(view)
  const isAlone = view.members.length === 1
  return (
    <section class="card topology" aria-labelledby="members">
      <div class="card-head">
        <h2 id="members">Members</h2>
        <div class="acts">
          <button type="button" disabled={!mayAct || isAlone} onClick={() => ask({ kind: 'switchover' })}>
            Switchover …
          </button>
          <button type="button" disabled={!mayAct} onClick={() => ask({ kind: 'pause' })}>
            {view.paused ? 'Resume …' : 'Pause …'}
          </button>
          <button type="button" disabled={!mayAct} onClick={() => ask({ kind: 'invite' })}>
            Add a member …
          </button>
        </div>
      </div>
      <div class="graph">
        {rows.map((row, depth) => (
          <>
            {depth > 0 && (
              <Edges key={`edges ${depth}`} edges={edges.filter((one) => one.row === depth - 1)} />
            )}
            <ul key={depth} class={`row depth-${Math.min(depth, 1)}`}>
              {row.map(({ member }) => (
                <MemberCard key={member.facts.name} member={member} view={view} live={live} ask={ask} />
              ))}
            </ul>
          </>
        ))}
      </div>
      <p class="legend">
        <span>
          <i class="mark voter" /> has a vote in consensus
        </span>
        <span>
          <i class="mark head" /> leads consensus
        </span>
        <span>
          <i class="mark line" /> commits can wait for it
        </span>
      </p>
    </section>
  )
}

/** Curves in a box that is stretched to the width of the rows; the words are laid over it. */
function Edges({ edges }: { edges: readonly Edge[] }) {
  return (
    <div class="edges" aria-hidden="true">
      <svg viewBox="0 0 1000 100" preserveAspectRatio="none">
        {edges.map(({ stream, fromX, toX }) => (
          <path
            key={stream.to}
            class={`edge ${stream.state === 'streaming' ? '' : 'is-broken'} ${stream.isSync ? 'is-sync' : ''}`}
            d={`M${fromX * 1000} 0V40H${toX * 1000}V100`}
          />
        ))}
      </svg>
      {edges.map(({ stream, toX }) => (
        <span key={stream.to} class="edge-label" style={{ left: `${100 * toX}%` }}>
          {lagWords(stream)}
        </span>
      ))}
    </div>
  )
}

function lagWords(stream: StreamView): string {
  if (stream.state !== 'streaming') return stream.state
  const { flushLagBytes, replayLagBytes } = stream
  if (flushLagBytes === undefined) return 'streaming'
  const replay =
    replayLagBytes !== undefined && replayLagBytes > flushLagBytes ? `, replay ${bytes(replayLagBytes)}` : ''
  return `${bytes(flushLagBytes)} behind${replay}`
}

function MemberCard(props: {
  member: MemberView
  view: ClusterView
  live: Live
  ask: (asked: Asked) => void
}) {
  const { member, view, live, ask } = props
  const { name, instance, activity } = member.facts
  const isHolder = holderOf(view) === name
  const trouble = memberTrouble(member, view)
  const stream = view.streams.find(({ to }) => to === name)
  const state = stateWord(member)
  const isRunning = member.reachable && instance.state === 'running'
  return (
    <li class={`member ${isHolder ? 'is-primary' : ''} tone-${trouble?.tone ?? 'good'}`} data-member={name}>
      <button
        type="button"
        class="open"
        onClick={() => ask({ kind: 'member', name })}
        aria-label={`${name}: details`}
      >
        <span class="member-head">
          <i class={`dot ${colourOf(name, view)}`} />
          <strong>{name}</strong>
          <Marks name={name} view={view} />
          <span class={`role ${isHolder ? 'primary' : ''}`}>{roleWord(member, isHolder, view)}</span>
        </span>
        {state && <span class="state">{state}</span>}
        <span class="figures">
          <Figure
            label="tps"
            value={isRunning ? latest(live, name, 'transactionsPerSecond') : '–'}
            kind="tps"
          />
          <Figure
            label="sessions"
            value={activity && isRunning ? `${activity.connections}/${activity.connectionsMax}` : '–'}
            kind="connections"
          />
          {isHolder ? (
            <Figure label="WAL/s" value={isRunning ? walRate(live, name) : '–'} kind="wal" />
          ) : (
            <Figure label="behind" value={lagOf(member, stream)} kind="lag" />
          )}
        </span>
        <span class="where">{routersOf(member, view)}</span>
        {stream && <span class="inline-edge">streams from {stream.from}</span>}
        {instance.role === 'primary' && !isHolder && member.reachable && (
          <span class="state">PostgreSQL says that it is a primary</span>
        )}
      </button>
    </li>
  )
}

function Marks({ name, view }: { name: string; view: ClusterView }) {
  const { consensus } = view
  if (consensus.leader === name) return <i class="mark head" title="leads consensus" />
  return consensus.voters.includes(name) ? <i class="mark voter" title="has a vote in consensus" /> : null
}

function Figure({ label, value, kind }: { label: string; value: string; kind: string }) {
  return (
    <span class="figure">
      <b data-value={kind}>{value}</b>
      <small>{label}</small>
    </span>
  )
}

function roleWord({ facts, reachable }: MemberView, isHolder: boolean, { consensus }: ClusterView): string {
  // What is known here may be old: the others may have another one by now.
  if (isHolder) return consensus.hasQuorum ? 'primary' : 'last known primary'
  if (!reachable) return 'not heard'
  if (facts.witness) return 'witness'
  return facts.instance.role === 'primary' ? 'old primary' : (facts.instance.role ?? facts.instance.state)
}

function stateWord({ facts, reachable, heardMsAgo }: MemberView): string | undefined {
  if (!reachable) return heardMsAgo === undefined ? 'never heard' : `last heard ${duration(heardMsAgo)} ago`
  if (facts.witness) return undefined
  const { state, clone, streaming, role } = facts.instance
  if (clone?.bytesTotal) return `${state}: ${bytes(clone.bytesDone)} of ${bytes(clone.bytesTotal)}`
  if (state !== 'running') return state
  if (role === 'standby' && streaming !== true) return 'does not stream'
  return undefined
}

function lagOf(member: MemberView, stream: StreamView | undefined): string {
  const lag = stream?.flushLagBytes ?? (member.reachable ? member.lagBytes : undefined)
  return lag === undefined ? '–' : bytes(lag)
}

function latest(live: Live, name: string, measure: 'transactionsPerSecond' | 'walBytesPerSecond'): string {
  const value = live.charted.series.find((one) => one.name === name)?.[measure].at(-1)
  return value === undefined || value === null ? '–' : digits(value)
}

function walRate(live: Live, name: string): string {
  const value = live.charted.series.find((one) => one.name === name)?.walBytesPerSecond.at(-1)
  return value === undefined || value === null ? '–' : bytes(Math.round(value))
}

function routersOf({ facts }: MemberView, view: ClusterView): string {
  const { routerPorts } = facts
  if (!routerPorts) return `${facts.host}:${facts.port}`
  const clients = view.queries.reduce((sum, one) => sum + one.clients, 0)
  const own = facts.name === view.self ? `, ${clients} clients` : ''
  return `router ${routerPorts.primary} · ${routerPorts.replica} · ${routerPorts.pooled}${own}`
}
