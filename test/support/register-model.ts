/**
 * One key of the store as a sequential object: what each call may answer in each state. A state is what the key holds; its
 * revision may be unknown, after a write whose answer nobody got.
 */
export type RegisterState = {
  /** Absent: there is no such key. */
  readonly value?: string
  /** Revision of the last write; 0 for an absent key; `undefined` until somebody has seen it. */
  readonly revision: number | undefined
  /** No revision of this key up to here can be given again: revisions only grow. */
  readonly floor: number
}

export type RegisterCall =
  | { readonly kind: 'read' }
  | { readonly kind: 'write'; readonly value: string }
  /** Compare-and-swap on the revision of the last write; 0 wants the key to be absent. */
  | { readonly kind: 'swap'; readonly expected: number; readonly value: string }
  | { readonly kind: 'delete' }

export type RegisterAnswer =
  /** Without a value: absent. */
  | { readonly kind: 'seen'; readonly value?: string; readonly revision: number }
  | { readonly kind: 'done'; readonly revision: number }
  /** A compare-and-swap whose comparison failed. */
  | { readonly kind: 'refused' }

export const initialState: RegisterState = { revision: 0, floor: 0 }

/** The state after `call` was answered with `answer`; `undefined` when it cannot be answered so in this state. */
export function afterAnswer(
  state: RegisterState,
  call: RegisterCall,
  answer: RegisterAnswer,
): RegisterState | undefined {
  switch (call.kind) {
    case 'read':
      return answer.kind === 'seen' ? afterRead(state, answer) : undefined
    case 'write':
      return answer.kind === 'done' ? written(state, call.value, answer.revision) : undefined
    case 'swap':
      return afterSwap(state, call, answer)
    case 'delete':
      return answer.kind === 'done' ? deleted(state, answer.revision) : undefined
  }
}

/** The state after a call whose answer nobody knows, had it taken effect; `undefined` when it would have had none. */
export function afterSilence(state: RegisterState, call: RegisterCall): RegisterState | undefined {
  switch (call.kind) {
    case 'read':
      return undefined
    case 'write':
      return { value: call.value, revision: undefined, floor: state.floor }
    case 'swap': {
      const matched = matching(state, call.expected)
      return matched === undefined
        ? undefined
        : { value: call.value, revision: undefined, floor: matched.floor }
    }
    case 'delete':
      return state.value === undefined ? undefined : { revision: 0, floor: state.floor }
  }
}

/** Equal texts for equal states. */
export function stateText({ value, revision, floor }: RegisterState): string {
  const held =
    value === undefined ? 'absent' : `${JSON.stringify(value)} of revision ${revision ?? 'unknown'}`
  return floor === 0 || floor === revision ? held : `${held} (revisions up to ${floor} are used)`
}

export function callText(call: RegisterCall): string {
  switch (call.kind) {
    case 'read':
    case 'delete':
      return call.kind
    case 'write':
      return `write ${JSON.stringify(call.value)}`
    case 'swap':
      return `swap revision ${call.expected} for ${JSON.stringify(call.value)}`
  }
}

export function answerText(answer: RegisterAnswer): string {
  switch (answer.kind) {
    case 'seen':
      return answer.value === undefined
        ? 'absent'
        : `${JSON.stringify(answer.value)} of revision ${answer.revision}`
    case 'done':
      return `done at revision ${answer.revision}`
    case 'refused':
      return 'refused'
  }
}

function afterRead(
  state: RegisterState,
  seen: Extract<RegisterAnswer, { kind: 'seen' }>,
): RegisterState | undefined {
  if (state.value !== seen.value) return undefined
  return seen.value === undefined ? state : matching(state, seen.revision)
}

function afterSwap(
  state: RegisterState,
  call: Extract<RegisterCall, { kind: 'swap' }>,
  answer: RegisterAnswer,
): RegisterState | undefined {
  if (answer.kind === 'seen') return undefined
  // An unknown revision may be any other than the expected one; that it then never becomes it is not held against anybody.
  if (answer.kind === 'refused') return state.revision === call.expected ? undefined : state
  const matched = matching(state, call.expected)
  return matched === undefined ? undefined : written(matched, call.value, answer.revision)
}

/** The state, had its last write `revision`: an unknown one is known from then on. */
function matching(state: RegisterState, revision: number): RegisterState | undefined {
  if (state.revision !== undefined) return state.revision === revision ? state : undefined
  return revision > state.floor ? { ...state, revision, floor: revision } : undefined
}

function written(state: RegisterState, value: string, revision: number): RegisterState | undefined {
  return revision > state.floor ? { value, revision, floor: revision } : undefined
}

/** Deleting nothing is no change, and answers with whatever revision the whole tree has. */
function deleted(state: RegisterState, revision: number): RegisterState | undefined {
  if (state.value === undefined) return state
  return revision > state.floor ? { revision: 0, floor: revision } : undefined
}
