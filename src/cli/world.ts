import type { ServerAddress, ServerDescription } from '../model/server-description.ts'
import { askLine, readInput } from '../platform/prompt.ts'
import { environment, exit, stderr, stdin, stdout, workingDirectory } from '../platform/process.ts'
import { codeOf } from '../std/fault.ts'

/** Where a command writes to. */
export type TextSink = {
  write(text: string): unknown
  readonly isTTY?: boolean
  readonly columns?: number
}

/** What commands see of the outside; a test gives them another one. */
export type World = {
  readonly stdout: TextSink
  readonly stderr: TextSink
  readonly env: Readonly<Record<string, string | undefined>>
  readonly cwd: string
  /** Asks the person at the terminal; absent where there is none. */
  readonly ask?: (question: string) => Promise<string | undefined>
  /** All of standard input; `undefined` where it is more than that. */
  readonly readInput: (bytesMax: number) => Promise<string | undefined>
  /** For commands that print and end: a reader that has seen enough, such as `head`, ends them without an error. */
  readonly endWithPipe: () => void
  /** Asks a PostgreSQL that nobody manages yet what it is. */
  readonly describeServer: (address: ServerAddress) => Promise<ServerDescription>
  /** Runs the agent until it stops; the exit code. */
  readonly runAgent: (options: { readonly configPath: string }) => Promise<number>
}

export function realWorld(agent: Pick<World, 'runAgent' | 'describeServer'>): World {
  return {
    stdout,
    stderr,
    env: environment(),
    cwd: workingDirectory(),
    ...(stdin.isTTY && stderr.isTTY ? { ask: askLine } : {}),
    readInput,
    endWithPipe: () => {
      stdout.on('error', (error) => exit(codeOf(error) === 'EPIPE' ? 0 : 1))
    },
    ...agent,
  }
}
