import type { ClusterView, FailoverRecord, LossReport } from '#client'
import { bytes, duration, moment, plural } from './format.ts'
import type { Live } from './live-cluster.ts'

const REASONS: Readonly<Record<string, string>> = {
  BOOTSTRAP: 'first start',
  LEASE_EXPIRED: 'lease ran out',
  PRIMARY_SILENT: 'primary silent',
  PRIMARY_CRASHED: 'PostgreSQL died',
  WRITE_PATH_STALLED: 'disk stalled',
  DISK_FULL: 'disk full',
  SWITCHOVER: 'switchover',
  PRIMARY_STOPPED: 'primary stopped',
}

const STEPS: Readonly<Record<FailoverRecord['steps'][number]['step'], string>> = {
  noticed: 'noticed',
  begun: 'epoch begun: nobody’s yet',
  pledged: 'promised not to help the old one',
  authorised: 'may promote',
  promoted: 'takes writes',
  protected: 'commits can be acknowledged',
  open: 'open: committed and routed to',
}

/** Every change of primary, newest first; each opens into what the flight recorder wrote down. */
export function Failovers({ live, view }: { live: Live; view: ClusterView }) {
  const { history } = live
  const now = Date.parse(view.takenAt)
  const links = (history?.epochs ?? view.history).toReversed()
  return (
    <section class="card failovers" aria-labelledby="failovers">
      <div class="card-head">
        <h2 id="failovers">Changes of primary</h2>
      </div>
      {links.length === 0 && <p class="empty">None yet.</p>}
      <ol>
        {links.map((link) => {
          const record = history?.failovers.find(({ epoch }) => epoch === link.epoch)
          const loss = history?.losses.filter(({ epoch }) => epoch === link.epoch) ?? []
          return (
            <li key={link.epoch} data-epoch={link.epoch}>
              <details>
                <summary>
                  <span class="epoch">{link.epoch}</span>
                  <span class="who">
                    {record && record.from !== link.holder ? `${record.from} → ` : ''}
                    <strong>{link.holder}</strong>
                  </span>
                  <span class="reason">{REASONS[link.reason] ?? link.reason}</span>
                  <span class="took">{record ? duration(record.steps.at(-1)?.atMs ?? 0) : ''}</span>
                  <time dateTime={link.openedAt}>{moment(Date.parse(link.openedAt), now)}</time>
                </summary>
                {record ? <Timeline record={record} /> : <p class="empty">{nothingKept(link.takeover)}</p>}
                <p class="fine">
                  Timeline {link.timeline} from {link.forkLsn}, by {link.takeover}.
                </p>
                {loss.map((one) => (
                  <Loss key={one.member} loss={one} />
                ))}
              </details>
            </li>
          )
        })}
      </ol>
    </section>
  )
}

function nothingKept(takeover: string): string {
  return takeover === 'bootstrap'
    ? 'The cluster was created.'
    : 'The flight recorder keeps the newest 20 only.'
}

/** To scale: a step is as far to the right as it came late. */
function Timeline({ record }: { record: FailoverRecord }) {
  const end = Math.max(1, record.steps.at(-1)?.atMs ?? 1)
  return (
    <>
      <ol class="timeline" aria-label={`Steps of epoch ${record.epoch}`}>
        {record.steps.map(({ atMs, step, detail }, index) => (
          <li key={`${step} ${detail}`} class={`step-${step}`}>
            <span class="ms">{atMs} ms</span>
            <svg class="track" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">
              <path class="rail" d="M0 5H100" />
              <path
                class="run"
                d={`M${(100 * (record.steps[index - 1]?.atMs ?? 0)) / end} 5H${Math.max((100 * atMs) / end, 0.6)}`}
              />
            </svg>
            <span class="what">
              {STEPS[step] ?? step}
              {detail && <small>{detail}</small>}
            </span>
          </li>
        ))}
      </ol>
      {record.passedOver.length > 0 && (
        <p class="fine">
          Not chosen: {record.passedOver.map(({ name, why }) => `${name} ${why}`).join('; ')}.
        </p>
      )}
    </>
  )
}

function Loss({ loss }: { loss: LossReport }) {
  return (
    <p class="loss">
      {plural(loss.transactions, 'transaction')} that only {loss.member} had{' '}
      {loss.transactions === 1 ? 'was' : 'were'} left behind ({bytes(loss.bytes)} from {loss.forkLsn}). Their
      WAL is kept in <code>{loss.keptIn}</code>.
    </p>
  )
}
