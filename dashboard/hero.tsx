import type { ClusterView, EstimateDocument } from '#client'
import { bytes, clock, duration, plural } from './format.ts'
import type { Live } from './live-cluster.ts'
import { holderOf } from './topology.ts'
import { verdictOf, type Trouble } from './verdict.ts'

/** The one glance: who is primary, whether writes flow, what is wrong, what to do. */
export function Hero({ live, view }: { live: Live; view: ClusterView }) {
  const verdict = verdictOf(view)
  const tone = live.silence === undefined ? verdict.tone : 'critical'
  return (
    <section class={`hero tone-${tone}`} aria-labelledby="verdict">
      <div class="verdict" aria-live="polite">
        <Sign tone={tone} />
        <div>
          <h2 id="verdict">
            {live.silence === undefined ? verdict.headline : `${view.self} does not answer`}
          </h2>
          <p class="detail">
            {live.silence === undefined
              ? verdict.detail
              : `What follows was known at ${clock(live.seenAt)}. Ask another node: its name is above. (${live.silence})`}
          </p>
        </div>
      </div>
      <Outlook view={view} estimate={live.estimate} />
      {verdict.troubles.length > 0 && (
        <ul class="troubles" aria-label="Findings">
          {verdict.troubles.map((one) => (
            <TroubleLine key={one.text.replace(/\d+/g, '')} trouble={one} />
          ))}
        </ul>
      )}
    </section>
  )
}

function Sign({ tone }: { tone: string }) {
  const path = {
    good: 'M9 16.5l4.6 4.6L23.5 11',
    warning: 'M16 9v9M16 22.2v.3',
    critical: 'M11 11l10 10M21 11L11 21',
  }[tone]
  return (
    <svg class="sign" viewBox="0 0 32 32" width="44" height="44" aria-hidden="true">
      <circle cx="16" cy="16" r="15" />
      <path d={path ?? 'M16 9v7l5 3'} />
    </svg>
  )
}

function TroubleLine({ trouble }: { trouble: Trouble }) {
  return (
    <li class={`trouble tone-${trouble.tone}`}>
      <strong>{trouble.text}</strong>
      {trouble.advice && <span class="advice">{trouble.advice}</span>}
    </li>
  )
}

function Outlook({ view, estimate }: { view: ClusterView; estimate: EstimateDocument | undefined }) {
  const holder = holderOf(view)
  const { record, leaseRemainingMs } = view
  return (
    <dl class="outlook">
      <div>
        <dt>If {holder ?? 'the primary'} dies</dt>
        <dd data-value="rto">{downtime(estimate)}</dd>
        <dd class="basis">{downtimeBasis(estimate)}</dd>
      </div>
      <div>
        <dt>Would be lost</dt>
        <dd data-value="rpo">{view.consensus.hasQuorum ? loss(estimate) : '–'}</dd>
        <dd class="basis">{view.consensus.hasQuorum ? lossBasis(estimate) : 'not known from here'}</dd>
      </div>
      <div>
        <dt>Lease</dt>
        <dd data-value="lease">{leaseRemainingMs > 0 ? duration(leaseRemainingMs) : 'not proven'}</dd>
        <dd class="basis">
          {record ? (
            <>
              epoch <span data-value="epoch">{record.epoch}</span>, timeline{' '}
              <span data-value="timeline">{record.timeline}</span>
            </>
          ) : (
            'nobody holds it'
          )}
        </dd>
      </div>
    </dl>
  )
}

function downtime(estimate: EstimateDocument | undefined): string {
  if (!estimate) return '–'
  if (estimate.takeover === 'none') return 'no take-over'
  if (estimate.crashMs === undefined) return 'not measured'
  return `≈ ${duration(estimate.crashMs)}`
}

function downtimeBasis(estimate: EstimateDocument | undefined): string {
  if (!estimate) return ''
  const { takeover, why, silenceMs, noticeMs, measured } = estimate
  if (takeover === 'none') return why ?? ''
  if (silenceMs === undefined) return `no failover here yet; silence is noticed in ${duration(noticeMs)}`
  return `without writes; ${duration(silenceMs)} if its host goes silent (${plural(measured, 'failover')} here)`
}

function loss(estimate: EstimateDocument | undefined): string {
  if (!estimate) return '–'
  if (estimate.survives > 0) return 'nothing'
  return estimate.lossBytes === undefined ? 'unknown' : bytes(estimate.lossBytes)
}

function lossBasis(estimate: EstimateDocument | undefined): string {
  if (!estimate) return ''
  const { survives, lossBytes } = estimate
  if (survives > 0) return `acknowledged commits survive ${plural(survives, 'lost disk')}`
  return lossBytes === undefined ? 'no standby is near the primary' : 'of WAL that no standby has yet'
}
