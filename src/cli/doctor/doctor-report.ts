import type { Diagnosis } from '#client'
import { enumerated } from '../../std/quantity-text.ts'
import type { Paragraph } from '../prose.ts'
import type { Report } from '../report.ts'
import type { Tone } from '../table.ts'

/** As monitoring programs of the Nagios family read it; 3 is said by the command line where nobody answers. */
const DOCTOR_EXIT = { well: 0, warnings: 1, errors: 2 } as const

export type Examined = {
  readonly what: string
  readonly takenAt: string
  readonly diagnoses: readonly Diagnosis[]
}

export function exitOf(diagnoses: readonly Diagnosis[]): number {
  if (diagnoses.some(({ severity }) => severity === 'error')) return DOCTOR_EXIT.errors
  return diagnoses.some(({ severity }) => severity === 'warning') ? DOCTOR_EXIT.warnings : DOCTOR_EXIT.well
}

/** The worst first; what is well is counted, and told only with `isAll`. */
export function doctorReport(
  { what, takenAt, diagnoses }: Examined,
  { isAll }: { readonly isAll: boolean },
): Report {
  const sorted = SEVERITIES.flatMap((wanted) => diagnoses.filter(({ severity }) => severity === wanted))
  const shown = sorted.filter(({ severity }) => isAll || severity !== 'ok')
  return {
    data: { examined: what, takenAt, counts: countsOf(diagnoses), diagnoses: sorted },
    prose: [
      { lead: '', text: { text: `${what}: ${summary(diagnoses)}`, tone: 'bold' } },
      ...together(shown).flatMap(paragraphs),
      ...(isAll ? [] : [{ lead: '', text: { text: 'Add --all to see what is well', tone: 'dim' as const } }]),
    ],
    footer: [],
    rows: [
      ['severity', 'member', 'check', 'code', 'evidence', 'fix'],
      ...sorted.map((one) => [one.severity, one.member, one.check, one.code, one.evidence, one.fix]),
    ],
  }
}

const SEVERITIES = ['error', 'warning', 'note', 'ok'] as const
const TONES: Readonly<Record<Diagnosis['severity'], Tone>> = {
  error: 'bad',
  warning: 'warning',
  note: 'accent',
  ok: 'good',
}
const LEAD_WIDTH = 'warning'.length + 1

function countsOf(diagnoses: readonly Diagnosis[]): Readonly<Record<Diagnosis['severity'], number>> {
  const count = (wanted: Diagnosis['severity']) =>
    diagnoses.filter(({ severity }) => severity === wanted).length
  return { error: count('error'), warning: count('warning'), note: count('note'), ok: count('ok') }
}

function summary(diagnoses: readonly Diagnosis[]): string {
  const { error, warning, note, ok } = countsOf(diagnoses)
  const plural = (count: number, one: string) => `${count} ${one}${count === 1 ? '' : 's'}`
  return `${plural(error, 'error')}, ${plural(warning, 'warning')}, ${plural(note, 'note')}, ${ok} ok`
}

type Together = Diagnosis & { readonly members: readonly string[] }

/** What several members say in the same words is told once. */
function together(diagnoses: readonly Diagnosis[]): readonly Together[] {
  const groups = new Map<string, Together>()
  for (const one of diagnoses) {
    const key = JSON.stringify([one.severity, one.code, one.evidence, one.fix])
    const known = groups.get(key)
    const members = one.member === undefined ? [] : [one.member]
    groups.set(key, { ...one, members: [...(known?.members ?? []), ...members] })
  }
  return [...groups.values()]
}

function paragraphs({ severity, members, evidence, code, fix }: Together): readonly Paragraph[] {
  const who = members.length === 0 ? '' : `${enumerated(members)}: `
  return [
    {
      lead: severity.padEnd(LEAD_WIDTH),
      text: { text: `${who}${evidence} (${code})`, tone: TONES[severity] },
    },
    ...(fix === undefined ? [] : [{ lead: ' '.repeat(LEAD_WIDTH), text: `fix: ${fix}` }]),
  ]
}
