import { chmodSync, existsSync, join, readFileSync, renameSync, writeFileSync } from '../../platform/disk.ts'
import { isAlive, type ProcessIdentity } from '../../platform/process-table.ts'
import { bootId } from '../../platform/process.ts'
import { Fault } from '../../std/fault.ts'
import type { DemoConnections, DemoNode } from './demo-layout.ts'

/** Processes of a node; absent while it has none, or nobody knows. */
export type DemoPids = {
  readonly agent?: number
  readonly postmaster?: number
  readonly guard?: number
  readonly router?: number
}

/** `demo.json`: what other commands and the next start need to know. It holds a password: mode 0600. */
export type DemoState = DemoConnections & {
  /** Of pg-metako: an agent of another version is not adopted. */
  readonly version: string
  readonly scope: string
  /** RFC 3339. */
  readonly startedAt: string
  /** Pids of another boot mean nothing. */
  readonly bootId: string
  /** The process that supervises the agents; absent after a clean stop. */
  readonly supervisor?: ProcessIdentity
  readonly api: string
  readonly tokenFile: string
  readonly portBase: number
  readonly nodes: readonly (DemoNode & { readonly pids: DemoPids; readonly agent?: ProcessIdentity })[]
  /** Folders that the demo made outside of its own. */
  readonly outside: readonly string[]
}

export type DemoStateNode = DemoState['nodes'][number]

const FILE = 'demo.json'

export function demoStateFile(root: string): string {
  return join(root, FILE)
}

/** What the last demo in this folder left, `undefined` where there was none. Throws `DEMO_STATE_UNREADABLE`. */
export function readDemoState(root: string): DemoState | undefined {
  const file = demoStateFile(root)
  if (!existsSync(file)) return undefined
  let parsed: unknown
  try {
    parsed = JSON.parse(readFileSync(file, 'utf8'))
  } catch (error) {
    throw unreadable(file, error instanceof Error ? error.message : 'unknown', error)
  }
  if (!isDemoState(parsed)) throw unreadable(file, 'it is not what pg-metako demo writes')
  return parsed
}

function isDemoState(value: unknown): value is DemoState {
  const state = value as Partial<DemoState> | null
  return (
    typeof state?.version === 'string' && typeof state.tokenFile === 'string' && Array.isArray(state.nodes)
  )
}

function unreadable(file: string, why: string, cause?: unknown): Fault {
  return new Fault(
    'DEMO_STATE_UNREADABLE',
    `Cannot read "${file}": ${why}; stop the processes of this demo by hand and delete the folder`,
    { cause },
  )
}

/** Replaces the file as a whole: a reader sees the old one or the new one. */
export function writeDemoState(root: string, state: DemoState): void {
  const file = demoStateFile(root)
  const temporary = `${file}.tmp`
  writeFileSync(temporary, `${JSON.stringify(state, undefined, 2)}\n`, { mode: 0o600 })
  chmodSync(temporary, 0o600)
  renameSync(temporary, file)
}

/** The running supervisor, if there is one. */
export function supervisorOf(state: DemoState | undefined): ProcessIdentity | undefined {
  if (!state?.supervisor || state.bootId !== bootId()) return undefined
  return isAlive(state.supervisor) ? state.supervisor : undefined
}
