import type { ClusterView, WhyAnswer, WhyDocument, WhyQuestion } from '#client'
import { enumerated } from '../std/quantity-text.ts'
import { SECOND } from '../std/units.ts'
import { askMembers, failuresOf, primaryOf, type MemberAnswer } from './ask-members.ts'
import { requireMember } from './ask-first.ts'
import { connectCluster } from './connect.ts'
import type { Endpoints } from './endpoints.ts'
import type { Paragraph } from './prose.ts'
import type { Report } from './report.ts'
import { toned } from './report.ts'

const ANSWER_MS = 2 * SECOND

/** One answer, and whom it is about; absent: the cluster. `by`: whose decision it is. */
type Said = WhyAnswer & { readonly member?: string; readonly by: string }

/** Why things are as they are, each member asked for itself. */
export async function whyReport(endpoints: Endpoints, member: string | undefined): Promise<Report> {
  const connection = await connectCluster(endpoints)
  const { view } = connection
  const names = view.members.map(({ facts }) => facts.name)
  if (member !== undefined) requireMember(member, names, 'explain a member')
  const answers = await askMembers(connection, endpoints, {
    timeoutMs: ANSWER_MS,
    ask: (client) => client.why(),
  })
  const all = merged(answers, view)
  const said = member === undefined ? all : all.filter((one) => one.member === member)
  const unanswered = failuresOf(answers)
  return {
    data: { cluster: view.scope, seenFrom: view.self, takenAt: view.takenAt, unanswered, answers: said },
    prose: [
      { lead: '', text: { text: titleOf(view, member), tone: 'bold' } },
      ...(member === undefined ? byQuestion(said, view) : byMember(said, view)),
      ...unanswered.map((text): Paragraph => ({
        lead: '',
        text: { text: `no answer from ${text}`, tone: 'bad' },
      })),
    ],
    footer: [],
    rows: [
      ['member', 'question', 'well', 'reason', 'by', 'sentence'],
      ...said.map((one) => [one.member, one.question, one.isWell, one.reason, one.by, one.sentence]),
    ],
  }
}

/**
 * Each member speaks for itself, and the primary for the cluster while it has the right to; whoever does not answer is spoken of by the
 * agent that sees a majority.
 */
function merged(answers: readonly MemberAnswer<WhyDocument>[], view: ClusterView): readonly Said[] {
  const documents = new Map(
    answers.flatMap((one) => (one.kind === 'answered' ? [[one.name, one.document] as const] : [])),
  )
  const own = documents.get(view.self)
  const primary = view.leaseRemainingMs > 0 ? primaryOf(view) : undefined
  const spokesman = (primary === undefined ? undefined : documents.get(primary)) ?? own
  const cluster = (spokesman?.cluster ?? []).map((one) => ({ ...one, by: spokesman?.self ?? '' }))
  const members = view.members.flatMap(({ facts: { name } }): readonly Said[] => {
    const document = documents.get(name) ?? own
    const found = document?.members.find((one) => one.name === name)?.answers ?? []
    return found.map((one) => ({ ...one, member: name, by: document?.self ?? '' }))
  })
  return [...cluster, ...members]
}

function titleOf(view: ClusterView, member: string | undefined): string {
  const { record } = view
  const primary = primaryOf(view)
  const state = !record
    ? 'not created yet'
    : `epoch ${record.epoch} of ${primary ?? 'nobody'} (${record.state})`
  return `${member === undefined ? '' : `${member} in `}cluster ${view.scope}: ${state}`
}

/** In the order in which a person asks. */
const QUESTIONS: readonly (readonly [WhyQuestion, (primary: string) => string])[] = [
  ['FAILOVER', () => 'Why is there no failover?'],
  ['IF_LOST', (primary) => `What if the host of ${primary} were lost now?`],
  ['COMMITS', () => 'Whom does a commit wait for?'],
  ['CONSENSUS', () => 'Can the cluster decide?'],
  ['DOING', () => 'What is each member doing?'],
  ['READS', () => 'Who serves reads?'],
  ['ACKNOWLEDGES', () => 'Whom is no commit waiting for?'],
  ['RESTART', () => 'What waits for a restart?'],
]

function byQuestion(said: readonly Said[], view: ClusterView): readonly Paragraph[] {
  const primary = primaryOf(view) ?? view.record?.holder ?? 'the primary'
  return QUESTIONS.flatMap(([question, title]) => {
    const answers = said.filter((one) => one.question === question && isWorthALine(one, primary))
    if (answers.length === 0) return []
    const titled = [heading(title(primary)), ...answers.map((one) => line(one, one.member))]
    return question === 'IF_LOST' ? [...titled, ...undecided(answers)] : titled
  })
}

/** Each knows its own position now, and those of the others as of their last heartbeats: under load each may think itself ahead. */
function undecided(answers: readonly Said[]): readonly Paragraph[] {
  const takers = answers.flatMap(({ reason, member = '' }) => (reason === 'TAKES_OVER' ? [member] : []))
  if (takers.length < 2) return []
  const text = `one of ${enumerated(takers)}: they are as good as far as is known now, and who has more WAL by then goes first`
  return [{ lead: '  ', text: { text, tone: 'dim' } }]
}

/** What is as everybody expects is left out where the whole cluster is asked about. */
function isWorthALine({ question, member, isWell }: Said, primary: string): boolean {
  if (question === 'ACKNOWLEDGES') return !isWell
  return question !== 'READS' || member !== primary
}

function byMember(said: readonly Said[], view: ClusterView): readonly Paragraph[] {
  const primary = primaryOf(view) ?? 'the primary'
  const title: Partial<Record<WhyQuestion, string>> = {
    IF_LOST: `If the host of ${primary} were lost now`,
    DOING: 'Now',
    READS: 'Reads',
    ACKNOWLEDGES: 'Commits',
    RESTART: 'Restart',
  }
  return said.map((one) => line(one, title[one.question] ?? one.question))
}

function heading(text: string): Paragraph {
  return { lead: '', text: { text, tone: 'accent' } }
}

function line(one: Said, about: string | undefined): Paragraph {
  const lead = about === undefined ? '' : `${about}: `
  return {
    lead: one.isWell ? '  ' : '! ',
    text: toned(`${lead}${one.sentence}`, one.isWell ? undefined : 'warning'),
  }
}
