import type { ServerAddress, ServerDescription } from '../../src/model/server-description.ts'
import type { TextSink, World } from '../../src/cli/world.ts'

/** Collects what a command writes; answers questions from a list; a terminal only where a test wants one. */
export class FakeWorld implements World {
  readonly stdout: TextSink & { text: string }
  readonly stderr: TextSink & { text: string }
  env: Record<string, string | undefined>
  cwd: string
  ask?: (question: string) => Promise<string | undefined>
  readonly questions: string[] = []
  readonly agentRuns: string[] = []
  readonly #input: string

  constructor(options: {
    cwd?: string
    env?: Record<string, string>
    terminal?: boolean
    columns?: number
    answers?: (string | undefined)[]
    input?: string
  }) {
    this.cwd = options.cwd ?? '/nowhere'
    this.env = options.env ?? {}
    this.#input = options.input ?? ''
    this.stdout = sink(options)
    this.stderr = sink(options)
    const { answers } = options
    if (answers)
      this.ask = (question) => {
        this.questions.push(question)
        return Promise.resolve(answers.shift())
      }
  }

  readonly readInput = (bytesMax: number): Promise<string | undefined> =>
    Promise.resolve(Buffer.byteLength(this.#input) > bytesMax ? undefined : this.#input)

  readonly endWithPipe = (): void => undefined

  /** What a running PostgreSQL says of itself; a test sets it. */
  describeServer = (_address: ServerAddress): Promise<ServerDescription> =>
    Promise.reject(new Error('nobody listens there'))

  readonly runAgent = ({ configPath }: { configPath: string }): Promise<number> => {
    this.agentRuns.push(configPath)
    return Promise.resolve(0)
  }
}

function sink(options: { terminal?: boolean; columns?: number }): TextSink & { text: string } {
  return {
    text: '',
    isTTY: options.terminal ?? false,
    ...(options.columns === undefined ? {} : { columns: options.columns }),
    write(text: string) {
      this.text += text
      return true
    },
  }
}
