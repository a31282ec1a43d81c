import {
  afterAnswer,
  afterSilence,
  answerText,
  callText,
  initialState,
  stateText,
  type RegisterAnswer,
  type RegisterCall,
  type RegisterState,
} from './register-model.ts'

/** One call of a client, as it saw it. What certainly did not happen (a refused connection) does not belong into a history. */
export type HistoryOperation = {
  readonly client: string
  readonly key: string
  readonly invokedAt: number
  readonly call: RegisterCall
  /** Absent: nobody knows whether it happened; it may take effect at any time after `invokedAt`, or never. */
  readonly outcome?: { readonly endedAt: number; readonly answer: RegisterAnswer }
}

export type LinearizabilityVerdict =
  | { readonly kind: 'linearizable' }
  | {
      readonly kind: 'violated'
      readonly key: string
      /** No order explains this answer. */
      readonly stuck: HistoryOperation
      /** The least part of the history that still has no explanation, `stuck` last. */
      readonly prefix: readonly HistoryOperation[]
      /** The same for people. */
      readonly explanation: string
    }

/**
 * Is there an order of the operations of each key, each at one moment between its call and its answer, in which a single
 * register would have answered the same? Wing & Gong 1993, in the just-in-time form of Lowe, "Testing for linearizability"
 * (2017) §4: events in the order of time, and a set of all configurations (state, operations that took effect before their
 * answer) that explain everything up to now. Keys are independent objects, so each is judged alone (Herlihy & Wing 1990,
 * locality), which is what keeps the sets small.
 */
export function checkLinearizability(history: readonly HistoryOperation[]): LinearizabilityVerdict {
  for (const [key, operations] of byKey(history)) {
    const found = firstStuck(operations)
    if (found !== undefined) return violation(key, operations, found)
  }
  return { kind: 'linearizable' }
}

function byKey(history: readonly HistoryOperation[]): ReadonlyMap<string, readonly HistoryOperation[]> {
  const groups = new Map<string, HistoryOperation[]>()
  for (const operation of history) {
    const group = groups.get(operation.key)
    if (group === undefined) groups.set(operation.key, [operation])
    else group.push(operation)
  }
  return groups
}

/** Numbers of operations. Those with an answer leave when it comes; those without stay used for ever. */
type Configuration = {
  readonly state: RegisterState
  readonly early: ReadonlySet<number>
  readonly silent: ReadonlySet<number>
}

type Event = { readonly at: number; readonly isEnd: boolean; readonly index: number }

type Stuck = { readonly index: number; readonly states: readonly RegisterState[] }

/** The operation whose answer no order explains, or `undefined` when there is one for all. */
function firstStuck(operations: readonly HistoryOperation[]): Stuck | undefined {
  const open = new Set<number>()
  const silent = new Set<number>()
  let configurations: readonly Configuration[] = [
    { state: initialState, early: new Set(), silent: new Set() },
  ]
  for (const { index, isEnd } of eventsOf(operations)) {
    const operation = operations[index]
    if (operation === undefined) continue
    if (!isEnd) {
      ;(operation.outcome === undefined ? silent : open).add(index)
      continue
    }
    const next = explain(configurations, index, { operations, open, silent })
    if (next.length === 0) return { index, states: configurations.map(({ state }) => state) }
    open.delete(index)
    configurations = next
  }
  return undefined
}

/** By time; a call before an answer of the same moment, which leaves the most orders open. */
function eventsOf(operations: readonly HistoryOperation[]): readonly Event[] {
  return operations
    .flatMap(({ invokedAt, outcome }, index): readonly Event[] => [
      { at: invokedAt, isEnd: false, index },
      ...(outcome === undefined ? [] : [{ at: outcome.endedAt, isEnd: true, index }]),
    ])
    .toSorted((left, right) => left.at - right.at || Number(left.isEnd) - Number(right.isEnd))
}

/** All configurations in which `index` has taken effect by now, each reached by the fewest unknown operations. */
function explain(
  configurations: readonly Configuration[],
  index: number,
  about: {
    readonly operations: readonly HistoryOperation[]
    readonly open: ReadonlySet<number>
    readonly silent: ReadonlySet<number>
  },
): readonly Configuration[] {
  const seen = new Map<string, Configuration[]>()
  const explained: Configuration[] = []
  const waiting = configurations.filter((one) => isNew(seen, one))
  for (let one = waiting.shift(); one !== undefined; one = waiting.shift()) {
    if (one.early.has(index)) {
      const early = new Set(one.early)
      early.delete(index)
      explained.push({ ...one, early })
      continue
    }
    for (const candidate of successors(one, about)) if (isNew(seen, candidate)) waiting.push(candidate)
  }
  return withoutDominated(explained)
}

function* successors(
  { state, early, silent }: Configuration,
  about: Parameters<typeof explain>[2],
): Generator<Configuration> {
  for (const index of about.open) {
    const operation = about.operations[index]
    if (early.has(index) || operation?.outcome === undefined) continue
    const after = afterAnswer(state, operation.call, operation.outcome.answer)
    if (after !== undefined) yield { state: after, early: new Set(early).add(index), silent }
  }
  for (const index of about.silent) {
    const operation = about.operations[index]
    if (silent.has(index) || operation === undefined) continue
    const after = afterSilence(state, operation.call)
    if (after !== undefined) yield { state: after, early, silent: new Set(silent).add(index) }
  }
}

/**
 * Remembers `one` unless a configuration with the same state and the same early operations used only a part of its unknown
 * ones: whatever `one` can explain from here on, that other can as well.
 */
function isNew(seen: Map<string, Configuration[]>, one: Configuration): boolean {
  const key = `${stateText(one.state)} ${[...one.early].toSorted((a, b) => a - b).join(' ')}`
  const known = seen.get(key) ?? []
  if (known.some(({ silent }) => isSubset(silent, one.silent))) return false
  seen.set(key, [...known.filter(({ silent }) => !isSubset(one.silent, silent)), one])
  return true
}

function withoutDominated(configurations: readonly Configuration[]): readonly Configuration[] {
  const seen = new Map<string, Configuration[]>()
  for (const one of configurations) isNew(seen, one)
  return [...seen.values()].flat()
}

function isSubset(part: ReadonlySet<number>, whole: ReadonlySet<number>): boolean {
  if (part.size > whole.size) return false
  for (const one of part) if (!whole.has(one)) return false
  return true
}

function violation(
  key: string,
  operations: readonly HistoryOperation[],
  { index }: Stuck,
): LinearizabilityVerdict {
  const stuck = operations[index]
  if (stuck?.outcome === undefined) throw new Error(`Operation ${index} has no answer to be stuck at`)
  const endedAt = stuck.outcome.endedAt
  const before = operations.filter((one) => one !== stuck && one.invokedAt <= endedAt)
  const least = shrink(before, stuck)
  const states = firstStuck([...least, stuck])?.states ?? []
  return {
    kind: 'violated',
    key,
    stuck,
    prefix: [...least, stuck],
    explanation: explanationOf(key, { stuck, least, states }),
  }
}

/** Leaves out, in ever smaller pieces, what the violation does not need. */
function shrink(prefix: readonly HistoryOperation[], stuck: HistoryOperation): readonly HistoryOperation[] {
  let kept = prefix
  let size = Math.ceil(kept.length / 2)
  while (size >= 1) {
    const before = kept.length
    for (let from = 0; from < kept.length;) {
      const piece = kept.slice(from, from + size)
      const rest = [...kept.slice(0, from), ...kept.slice(from + size)]
      if (isDispensable(piece, [...rest, stuck]) && isStuckAt(rest, stuck)) kept = rest
      else from += size
    }
    // The last size again while it helps: a write can go once its readers have gone.
    if (size > 1) size = Math.ceil(size / 2)
    else if (kept.length === before) size = 0
  }
  return kept
}

function isStuckAt(prefix: readonly HistoryOperation[], stuck: HistoryOperation): boolean {
  const found = firstStuck([...prefix, stuck])
  return found !== undefined && found.index === prefix.length
}

/** A reader believes a shorter story only when nothing in it speaks of what was left out. */
function isDispensable(piece: readonly HistoryOperation[], rest: readonly HistoryOperation[]): boolean {
  return piece.every(({ call, outcome }) => {
    if (call.kind === 'read' || outcome?.answer.kind === 'refused') return true
    const revision = outcome?.answer.revision
    return rest.every((other) => !speaksOf(other, call, revision))
  })
}

function speaksOf(other: HistoryOperation, call: RegisterCall, revision: number | undefined): boolean {
  const answer = other.outcome?.answer
  // A refusal, and a read of nothing, may be due to any write or deletion.
  if (answer?.kind === 'refused') return true
  if (call.kind === 'delete') return answer?.kind === 'seen' && answer.value === undefined
  if (answer?.kind === 'seen' && 'value' in call && answer.value === call.value) return true
  return other.call.kind === 'swap' && (revision === undefined || other.call.expected === revision)
}

function explanationOf(
  key: string,
  found: {
    readonly stuck: HistoryOperation
    readonly least: readonly HistoryOperation[]
    readonly states: readonly RegisterState[]
  },
): string {
  const byCall = found.least.toSorted((left, right) => left.invokedAt - right.invokedAt)
  const states = [...new Set(found.states.map(stateText))]
  return [
    `Key "${key}" did not behave like one register. No order of these operations explains the last answer:`,
    ...[...byCall, found.stuck].map((one) => `  ${operationText(one)}`),
    `Before it the key could only hold ${states.join(', or ')}.`,
  ].join('\n')
}

function operationText({ client, invokedAt, call, outcome }: HistoryOperation): string {
  const from = invokedAt.toFixed(1)
  const end = outcome === undefined ? '?' : outcome.endedAt.toFixed(1)
  const answer = outcome === undefined ? 'nobody knows' : answerText(outcome.answer)
  return `${client.padEnd(10)} ${from.padStart(9)} … ${end.padStart(9)}  ${callText(call)} → ${answer}`
}
