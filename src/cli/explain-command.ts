import type { EpochLink, FailoverRecord, HistoryDocument, LossReport, TakeoverReason } from '#client'
import { bytes } from '../std/quantity-text.ts'
import { CommandFailure, EXIT } from './command-failure.ts'
import type { Paragraph } from './prose.ts'
import type { Report } from './report.ts'

type Step = FailoverRecord['steps'][number]

/** The flight recorder's account of one change of primary; without an epoch, of the newest that it has. */
export function explainReport(history: HistoryDocument, epoch: number | undefined): Report {
  const failover =
    epoch === undefined ? history.failovers.at(-1) : history.failovers.find((one) => one.epoch === epoch)
  const link = history.epochs.find((one) => one.epoch === (epoch ?? failover?.epoch))
  if (!failover && !link) throw unknownEpoch(history, epoch)
  const about = failover?.epoch ?? link?.epoch
  const losses = history.losses.filter((loss) => loss.epoch === about)
  const steps = (failover?.steps ?? []).map((step, index, all) => ({
    ...step,
    sinceMs: step.atMs - (all[index - 1]?.atMs ?? 0),
  }))
  // Where the time went, at a glance.
  const [slowest] = steps.filter(({ sinceMs }) => sinceMs > 0).toSorted((a, b) => b.sinceMs - a.sinceMs)
  return {
    data: { cluster: history.scope, epoch: about, link, failover, losses },
    prose: [
      { lead: '', text: { text: titleOf(failover, link), tone: 'bold' } },
      ...steps.map((step) => stepLine(step, step === slowest)),
      ...(failover
        ? []
        : [{ lead: '  ', text: 'the flight recorder has no steps of it: only of the newest' }]),
      ...(failover ? ending(failover, slowest) : []),
      ...losses.map(lossLine),
    ],
    footer: [],
    rows: [
      ['at_ms', 'since_ms', 'step', 'detail'],
      ...steps.map(({ atMs, sinceMs, step, detail }) => [atMs, sinceMs, step, detail]),
    ],
  }
}

function unknownEpoch({ epochs, failovers }: HistoryDocument, epoch: number | undefined): CommandFailure {
  if (epoch === undefined)
    return new CommandFailure(EXIT.failed, 'Cannot explain a change of primary: there was none yet')
  const known = [...new Set([...epochs, ...failovers].map((one) => one.epoch))].toSorted((a, b) => a - b)
  return new CommandFailure(
    EXIT.failed,
    `Cannot explain epoch ${epoch}: it is not known, known are ${known.join(', ') || 'none'}`,
    'See "pg-metako history"',
  )
}

const REASONS: Readonly<Record<TakeoverReason, string>> = {
  BOOTSTRAP: 'the cluster was created',
  LEASE_EXPIRED: 'the lease of the primary had run out',
  PRIMARY_SILENT: 'nothing was heard of the primary and its host',
  PRIMARY_CRASHED: 'its PostgreSQL had died',
  WRITE_PATH_STALLED: 'writing did not work on the primary any more, and it ended itself',
  DISK_FULL: 'the disk of the primary was full, and it ended itself',
  SWITCHOVER: 'an operator asked for it',
  PRIMARY_STOPPED: 'the primary was being stopped',
}

const STEPS: Readonly<Record<Step['step'], string>> = {
  noticed: 'noticed',
  begun: 'the epoch was begun, nobody’s yet',
  pledged: 'promised not to help the one before',
  authorised: 'the right to promote was given',
  promoted: 'PostgreSQL took writes',
  protected: 'enough standbys streamed for a commit to count',
  open: 'committed, and clients were led there',
}

const RIGHTS: Readonly<Record<EpochLink['takeover'], string>> = {
  bootstrap: 'as the first',
  lease: 'by lease: the old one had ended',
  revocation: 'by revocation: enough members pledged',
}

function titleOf(failover: FailoverRecord | undefined, link: EpochLink | undefined): string {
  const { epoch, reason, takeover } = failover ?? link ?? {}
  const why = reason === undefined ? '' : `, since ${REASONS[reason]}`
  const right = takeover === undefined ? '' : `, ${RIGHTS[takeover]}`
  const who = failover ? `${failover.to} took over from ${failover.from}` : `${link?.holder} became primary`
  const when = failover?.startedAt ?? link?.openedAt ?? ''
  return `epoch ${epoch}, ${when}: ${who}${why}${right}`
}

const AT_WIDTH = 9

function stepLine({ atMs, step, detail }: Step, isSlowest: boolean): Paragraph {
  const lead = `${`${atMs} ms`.padStart(AT_WIDTH)}  `
  const said = step === 'pledged' && detail !== undefined ? `${detail} ${STEPS.pledged}` : STEPS[step]
  const about = step === 'pledged' || detail === undefined ? '' : `: ${detail}`
  return { lead, text: isSlowest ? { text: `${said}${about}`, tone: 'accent' } : `${said}${about}` }
}

function ending(
  { steps, passedOver }: FailoverRecord,
  slowest: (Step & { readonly sinceMs: number }) | undefined,
): readonly Paragraph[] {
  const last = steps.at(-1)
  const longest = slowest ? `; the longest wait, ${slowest.sinceMs} ms, was for "${slowest.step}"` : ''
  const total = last
    ? `${last.step === 'open' ? 'took' : 'is under way for'} ${last.atMs} ms${longest}`
    : 'no step yet'
  return [
    { lead: '  ', text: total },
    ...passedOver.map(({ name, why }): Paragraph => ({ lead: '  ', text: `not ${name}: ${why}` })),
  ]
}

function lossLine({ member, transactions, bytes: size, keptIn }: LossReport): Paragraph {
  const text = `lost: ${transactions} transactions (${bytes(size)}) that only ${member} had; their WAL is kept in ${keptIn}`
  return { lead: '  ', text: { text, tone: 'bad' } }
}
