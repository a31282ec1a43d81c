/**
 * Scripts that say how PostgreSQL behaves, as data: what is done, and what is then seen. The same script runs on the model of the
 * simulator and on real PostgreSQL; what is seen are states and orders, never durations.
 */
export type Script = {
  /** The promise that it holds. */
  readonly name: string
  /** The row of safety.md, or the source that it comes from. */
  readonly source: string
  /** The first is the primary, the others stream from it when the script begins. */
  readonly hosts: readonly string[]
  /** A program that real PostgreSQL must have installed. */
  readonly tool?: 'pg_rewind' | 'pg_basebackup'
  readonly steps: readonly Step[]
}

export type Step = Deed | Expectation

export type Setting =
  | 'synchronous_standby_names'
  | 'wal_retrieve_retry_interval'
  | 'max_slot_wal_keep_size'
  | 'wal_keep_size'
  | 'primary_slot_name'

/**
 * Where a standby may be pointed at besides a host: nobody (an empty `primary_conninfo`), a port where nobody listens, a port that
 * takes connections and says nothing.
 */
export type Upstream = 'nobody' | 'refusing' | 'silent' | (string & {})

/** What needs no more to be said than where. */
export type SimpleDeed =
  | 'reload'
  | 'pause-replay'
  | 'resume-replay'
  | 'promote'
  | 'kill-postmaster'
  | 'kill-all'
  | 'freeze'
  | 'thaw'
  /** SIGSTOP of the postmaster alone: it forks nothing, and hears no signal. */
  | 'freeze-postmaster'
  | 'thaw-postmaster'
  /** The `promote` file and the signal straight to the startup process. */
  | 'signal-promotion'
  | 'stall-checkpointer'
  | 'release-checkpointer'
  | 'shut-down'
  | 'checkpoint'
  | 'terminate-walreceiver'
  | 'terminate-walreceiver-by-sql'
  | 'put-standby-signal'
  | 'remove-standby-signal'

export type Deed =
  /** Sends an insert and does not wait; opens the session when it is new. */
  | { readonly do: 'send'; readonly session: string; readonly on: string; readonly token: number }
  | { readonly do: 'insert'; readonly on: string; readonly tokens: readonly number[] }
  | { readonly do: 'cancel'; readonly session: string }
  | { readonly do: 'terminate'; readonly session: string }
  | { readonly do: 'kill-backend'; readonly session: string }
  /** Inserts without end, several ahead of their answers, by one session. */
  | { readonly do: 'pump'; readonly session: string; readonly on: string }
  /** One statement that inserts and commits without end. */
  | { readonly do: 'loop'; readonly session: string; readonly on: string }
  | { readonly do: 'hold-reader'; readonly session: string; readonly on: string }
  | { readonly do: 'lock-table'; readonly on: string; readonly token: number }
  | { readonly do: 'end-readers'; readonly on: string }
  | { readonly do: 'remember-rows'; readonly on: string }
  /** Into a file that the server reads at its next reload. */
  | { readonly do: 'set'; readonly on: string; readonly setting: Setting; readonly value: string }
  /** `as`: the name that it gives itself, its own when absent. */
  | { readonly do: 'point'; readonly on: string; readonly at: Upstream; readonly as?: string }
  | { readonly do: 'start'; readonly on: string; readonly at?: Upstream }
  | { readonly do: 'clone'; readonly on: string; readonly from: string }
  /** A history file of a timeline that no server here was ever on. */
  | { readonly do: 'put-history'; readonly on: string; readonly timeline: number }
  | { readonly do: 'make-slot'; readonly on: string; readonly slot: string }
  | { readonly do: 'fill-wal'; readonly on: string; readonly segments: number }
  | { readonly do: 'rewind'; readonly on: string; readonly source: string }
  | { readonly do: SimpleDeed; readonly on: string }

/** What can be asked. Each answer is a word, or a list of numbers. */
export type Question =
  /** `there` or `gone`: the process. */
  | { readonly ask: 'walreceiver'; readonly on: string }
  /** `there` or `none`: the row of pg_stat_wal_receiver. */
  | { readonly ask: 'walreceiver-row'; readonly on: string }
  /** `null`, `below replay` or `at replay or above`. */
  | { readonly ask: 'receive-lsn'; readonly on: string }
  /** `yes`: it streams from this host. */
  | { readonly ask: 'streams'; readonly on: string; readonly from: string }
  /** `primary`, `standby`, `down` (no postmaster) or `no answer`. */
  | { readonly ask: 'role'; readonly on: string }
  | { readonly ask: 'timeline'; readonly on: string }
  /** `waiting`, `complete`, `warned`, `lost` or `error SQLSTATE`. */
  | { readonly ask: 'statement'; readonly session: string }
  /** `growing` or `still`: the acknowledgements that a pump hears. */
  | { readonly ask: 'acknowledgements'; readonly session: string }
  /** Tokens that are seen, in their order as numbers: `1 2 3`. */
  | { readonly ask: 'rows'; readonly on: string }
  /** `more` or `the same`, compared with `remember-rows`. */
  | { readonly ask: 'rows-remembered'; readonly on: string }
  /** `none` or `some`. */
  | { readonly ask: 'processes'; readonly on: string }
  /** `paused`, `blocked`, `asleep` (between two tries of all sources) or `free`. */
  | { readonly ask: 'replay'; readonly on: string }
  /** `yes` or `no`: the directory of the first, which is down, ends where the WAL ends that the other has. */
  | { readonly ask: 'same-end'; readonly on: string; readonly as: string }
  /** `yes` or `no`: the same timeline id with the same ancestors and fork positions. */
  | { readonly ask: 'same-history'; readonly on: string; readonly as: string }
  /** `kept`, `lost` or `absent`. */
  | { readonly ask: 'slot'; readonly on: string; readonly slot: string }
  | { readonly ask: 'standby-signal'; readonly on: string }
  /** What the last deed said: `true`, `false`, `done`, `not required`, `impossible`. */
  | { readonly ask: 'answer' }

export type Expectation =
  | {
      readonly expect: Question
      readonly is: string
      /** Not once, but without a break for this long. */
      readonly forMs?: number
    }
  /** This is never seen, for as long. */
  | { readonly expect: Question; readonly isNever: string; readonly forMs: number }

/** A place where scripts run: hosts with PostgreSQL, real or not. */
export interface Driver {
  carryOut(deed: Deed): Promise<void>
  answer(question: Question): Promise<string>
  /** Lets time go by. */
  pass(ms: number): Promise<void>
  now(): number
}

const PATIENCE_MS = 15_000
const LOOK_EVERY_MS = 25

/** Ends with an error that names the step which was not as expected. */
export async function expectScript(script: Script, driver: Driver): Promise<void> {
  for (const [index, step] of script.steps.entries()) {
    try {
      if ('do' in step) await driver.carryOut(step)
      else await expectStep(step, driver)
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      throw new Error(`step ${index + 1} ${JSON.stringify(step)}: ${reason}`, { cause: error })
    }
  }
}

async function expectStep(step: Expectation, driver: Driver): Promise<void> {
  if ('isNever' in step) {
    const end = driver.now() + step.forMs
    while (driver.now() < end) {
      await driver.pass(LOOK_EVERY_MS)
      if ((await driver.answer(step.expect)) === step.isNever) throw new Error('saw it')
    }
    return
  }
  const giveUpAt = driver.now() + PATIENCE_MS
  for (;;) {
    const seen = await driver.answer(step.expect)
    if (seen === step.is) break
    if (driver.now() > giveUpAt) throw new Error(`saw "${seen}"`)
    await driver.pass(LOOK_EVERY_MS)
  }
  const until = driver.now() + (step.forMs ?? 0)
  while (driver.now() < until) {
    await driver.pass(LOOK_EVERY_MS)
    const seen = await driver.answer(step.expect)
    if (seen !== step.is) throw new Error(`saw "${seen}" after it had been as expected`)
  }
}
