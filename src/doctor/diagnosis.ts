import type { ClusterView, Diagnosis, NodeFacts } from '#client'

/*
 * Doctor: facts to diagnoses, before a cluster is begun and while it serves. A check is pure and small, one file a subject in `checks/`;
 * it says what is with numbers, and of everything that is wrong the exact remedy. It never decides anything, and changes nothing.
 */

export type Check<Facts> = {
  readonly name: string
  /** What is looked at, for the reference. */
  readonly about: string
  readonly judge: (facts: Facts) => readonly Judgement[]
}

/** What a check says; whose it is stands with whoever asks it. */
export type Judgement = Omit<Diagnosis, 'check' | 'member'> & { readonly member?: string }

/** What is known of all nodes together. */
export type ClusterFacts = {
  /** Of an agent that sees a majority, where there is one. */
  readonly view: ClusterView
  readonly nodes: readonly NodeFacts[]
  /** Against the clock of whoever asks; `errorMs`: it may be so much off. */
  readonly clocks: readonly { readonly name: string; readonly offsetMs: number; readonly errorMs: number }[]
  /** Members that could not be looked at. */
  readonly unanswered: readonly {
    readonly name: string
    readonly why: string
    /** Its agent answers, and wants a token that nobody gave. */
    readonly isForWantOfToken: boolean
  }[]
}

/** Results of one check: `ok` for what was looked at and is well. */
export function ok(code: string, evidence: string): Judgement {
  return { code, severity: 'ok', evidence }
}

export function note(code: string, evidence: string, fix?: string): Judgement {
  return { code, severity: 'note', evidence, ...(fix === undefined ? {} : { fix }) }
}

export function warning(code: string, evidence: string, fix: string): Judgement {
  return { code, severity: 'warning', evidence, fix }
}

export function error(code: string, evidence: string, fix: string): Judgement {
  return { code, severity: 'error', evidence, fix }
}
