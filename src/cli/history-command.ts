import type { EpochLink, FailoverRecord, HistoryDocument, LossReport } from '#client'
import { bytes } from '../std/quantity-text.ts'
import type { Report } from './report.ts'
import type { Cell } from './table.ts'

/** Of how many failovers the steps are shown; `--format json` has the rest. */
const FAILOVERS_SHOWN = 3

/** Every change of primary, oldest first, what each take-over lost, and how long each step of the newest took. */
export function historyReport(history: HistoryDocument): Report {
  return {
    data: history,
    table: {
      title: `History: ${history.scope}`,
      columns: [
        { title: 'Epoch', align: 'right' },
        { title: 'Primary' },
        { title: 'TL', align: 'right' },
        { title: 'From LSN', align: 'right' },
        { title: 'Reason' },
        { title: 'Taken by' },
        { title: 'Time' },
        { title: 'Lost' },
      ],
      rows: history.epochs.map((link) => cellsOf(link, history.losses)),
    },
    footer: [
      ...history.losses.map(lossLine),
      ...history.failovers.slice(-FAILOVERS_SHOWN).flatMap(failoverLines),
    ],
    rows: [
      ['epoch', 'primary', 'timeline', 'fork_lsn', 'reason', 'takeover', 'opened_at', 'lost_transactions'],
      ...history.epochs.map((link) => [
        link.epoch,
        link.holder,
        link.timeline,
        link.forkLsn,
        link.reason,
        link.takeover,
        link.openedAt,
        lostBy(link, history.losses),
      ]),
    ],
  }
}

function cellsOf(link: EpochLink, losses: readonly LossReport[]): readonly Cell[] {
  const lost = lostBy(link, losses)
  return [
    String(link.epoch),
    link.holder,
    String(link.timeline),
    link.forkLsn,
    link.reason,
    link.takeover,
    link.openedAt,
    lost === 0 ? '' : { text: `${lost} transactions`, tone: 'bad' },
  ]
}

function lostBy(link: EpochLink, losses: readonly LossReport[]): number {
  return losses.filter((loss) => loss.epoch === link.epoch).reduce((sum, loss) => sum + loss.transactions, 0)
}

function failoverLines(failover: FailoverRecord): readonly Cell[] {
  const { epoch, from, to, steps, passedOver } = failover
  const words = steps.map(
    ({ atMs, step, detail }) => `${step} ${atMs}${detail === undefined ? '' : ` (${detail})`}`,
  )
  const others = passedOver.map(({ name, why }) => `${name} ${why}`)
  return [
    `epoch ${epoch}, ${from} to ${to}, in milliseconds: ${words.join(', ')}`,
    ...(others.length === 0 ? [] : [{ text: `  not chosen: ${others.join('; ')}`, tone: 'dim' as const }]),
  ]
}

function lossLine(loss: LossReport): Cell {
  const what = loss.isUnreadable
    ? `${bytes(loss.bytes)} of WAL behind ${loss.forkLsn} that are not there any more: which transactions is not known; the rest`
    : `${loss.transactions} transactions (${bytes(loss.bytes)}) behind ${loss.forkLsn}; their WAL`
  const text = `epoch ${loss.epoch}: ${loss.member} had ${what} is kept in ${loss.keptIn}`
  return { text, tone: 'warning' }
}
