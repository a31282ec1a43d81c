import type { OsUser } from '../platform/os-user.ts'
import type { Binaries } from './binaries.ts'
import type { Credentials } from './initialise.ts'
import type { PostmasterExit } from './postmaster.ts'
import type { KillOutcome } from './process-tree.ts'

export type InstanceOptions = {
  readonly dataDir: string
  /** A folder of the database user's own for the Unix socket. Short: the socket's path may have 107 bytes. */
  readonly runDir: string
  readonly binaries: Binaries
  readonly port: number
  readonly listenAddresses: readonly string[]
  /** Absent: we are not root, PostgreSQL runs as ourselves. */
  readonly osUser?: OsUser | undefined
  readonly superuser: Credentials
  /** Database of the agent's own connections. */
  readonly database: string
  readonly replication: Credentials
  readonly useSlots: boolean
  readonly clusterName: string
  readonly memberName: string
  readonly parameters: Readonly<Record<string, string>>
  readonly pgHba: readonly string[]
  readonly startTimeoutMs: number
  readonly stopTimeoutMs: number
}

export type StartOutcome =
  | { readonly kind: 'running'; readonly pid: number; readonly tookMs: number }
  /** It ran already; in which role is for the facts to say. */
  | { readonly kind: 'adopted'; readonly pid: number }
  /** The deadline passed while it recovers; it goes on. */
  | { readonly kind: 'recovering'; readonly pid: number }
  | {
      readonly kind: 'refused'
      readonly reason:
        | 'NO_INSTANCE'
        | 'FOREIGN'
        | 'INCOMPLETE'
        | 'PROCESSES_LEFT'
        | 'VERSION_MISMATCH'
        | 'BUSY'
      readonly message: string
    }
  | { readonly kind: 'failed'; readonly message: string; readonly logTail: readonly string[] }

export type StopOutcome =
  /** No process is left. `clean`: it wrote its shutdown checkpoint. `killed`: processes that had to be killed. */
  | { readonly kind: 'stopped'; readonly clean: boolean; readonly killed: number }
  | { readonly kind: 'alive'; readonly pids: readonly number[] }

export type InstanceEvent =
  /** The postmaster ended; its backends may still acknowledge. */
  | ({ readonly kind: 'exited'; readonly expected: boolean } & PostmasterExit)
  /** After an unexpected exit: no process is left (or `alive`: some could not be killed). */
  | { readonly kind: 'cleared'; readonly outcome: KillOutcome }

export type ProbeOutcome =
  | { readonly kind: 'written'; readonly lsn: string; readonly tookMs: number }
  | { readonly kind: 'failed'; readonly message: string }
