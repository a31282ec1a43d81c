import { maskSecrets } from './mask-secrets.ts'

/** A place in a config file. Lines and columns count from 1; line 0: the whole file, or no file at all (the environment). */
export type Place = { readonly file: string; readonly line: number; readonly column: number }

/** A place as one word: `file:line:column`. */
export function showPlace(place: Place): string {
  return place.line === 0 ? place.file : `${place.file}:${place.line}:${place.column}`
}

/** Warnings that a program may act on. All other problems are for people alone. */
export type ProblemCode =
  /** Two nodes: without a witness or protect mode nothing may take over by itself. */
  | 'TWO_NODES'
  /** One node: there is nobody to take over. */
  | 'ONE_NODE'
  /** No `postgresql.data_dir`: PostgreSQL is somebody else's; pg-metako watches and does not act. */
  | 'ATTACHED'
  /** No `security.cluster_secret`: it is derived from the database password. */
  | 'CLUSTER_SECRET_DERIVED'

/** One thing that is wrong, or worth knowing, in a config. Never holds a secret. */
export type Problem = Place & {
  readonly severity: 'error' | 'warning'
  /** Dotted key, e.g. `cluster_members[1].api_port`; empty for the file as a whole. */
  readonly key: string
  /** What stands there, as it was written. Absent for secrets and for keys that nobody knows. */
  readonly value?: string
  /** What is wrong, or which rule is broken: a sentence without a full stop. */
  readonly rule: string
  /** What to do about it. */
  readonly remedy: string
  readonly code?: ProblemCode
  /** A config that says the same in a form that is understood. */
  readonly replacement?: string
}

/** Where a problem's words come from; place and key are given apart. */
export type Finding = {
  readonly rule: string
  readonly remedy: string
  readonly value?: string
  readonly code?: ProblemCode
  readonly replacement?: string
}

/** Nobody reads more than this, and a hostile file must not fill the memory. */
const PROBLEMS_MAX = 200

/** Collects problems while a config is read, so that all are told at once. */
export class Problems {
  readonly #found: Problem[] = []

  error(place: Place, key: string, finding: Finding): void {
    this.#add({ ...placeOf(place), key, severity: 'error', ...finding })
  }

  warning(place: Place, key: string, finding: Finding): void {
    this.#add({ ...placeOf(place), key, severity: 'warning', ...finding })
  }

  get all(): readonly Problem[] {
    return [...this.#found].sort(byPlace)
  }

  get hasErrors(): boolean {
    return this.#found.some((problem) => problem.severity === 'error')
  }

  /** No more are taken: there is no use in looking for further ones. */
  get isFull(): boolean {
    return this.#found.length >= PROBLEMS_MAX
  }

  #add(problem: Problem): void {
    if (this.isFull) return
    const { value } = problem
    this.#found.push(value === undefined ? problem : { ...problem, value: maskSecrets(value) })
  }
}

function placeOf(place: Place): Place {
  return { file: place.file, line: place.line, column: place.column }
}

function byPlace(a: Problem, b: Problem): number {
  if (a.file !== b.file) return a.file < b.file ? -1 : 1
  return a.line - b.line || a.column - b.column
}
