import { closeSync, openSync } from 'node:fs'
import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { join } from 'node:path'
import type { DemoNode } from '../../src/cli/demo/demo-layout.ts'
import type { NodeProcesses } from '../../src/cli/demo/node-processes.ts'
import type { ProcessStat } from '../../src/platform/process.ts'
import { REPOSITORY_ROOT } from './repository-root.ts'

/** One node of a test: what its config says, and at which address it is reached. */
export type TestNode = DemoNode & { readonly host: string }

/** Where the agents of a test run: all on the loopback address, or each in namespaces of its own. */
export interface Machines {
  readonly nodes: readonly TestNode[]
  /** Nodes that the others do not know yet. */
  readonly spares?: readonly TestNode[]
  /** Password of the role `app`, which owns database `app`. */
  readonly appPassword: string
  /** What a node's API asks for before it changes anything. */
  apiToken(node: TestNode): string
  /** Starts `pg-metako --config` for a node, its output added to the node's log file. */
  spawnAgent(node: TestNode): ChildProcess
  /** From now on agents of this node are started from this `main.js`; absent where nobody asked for it. */
  setProgram?(node: TestNode, program: string): void
  /** The words before a command that is to run on a node's host; absent where all share one. */
  enter?(node: TestNode): readonly string[]
  /** Runs a command of the program on a node's host; absent where all share one. */
  runOn?(node: TestNode, argv: readonly string[]): Promise<ProgramResult>
  processesOf(node: TestNode): NodeProcesses
  postmasterOf(node: TestNode): ProcessStat | undefined
  /** The folder that says what is wrong with a node's disk and clock (`faulty-host.ts`); absent where all share one. */
  faultsOf?(node: TestNode): string
  /** Pulls a node's network cable, or plugs it in again; absent where all nodes share one address. */
  setLink?(node: TestNode, isUp: boolean): void
  /** Ends every process and removes every file, whatever state the test left them in. */
  dispose(): Promise<void>
}

/** The built program: `npm run test:pg` builds it first. */
export const PROGRAM: string = join(REPOSITORY_ROOT, 'dist/main.js')

export type ProgramResult = { readonly code: number; readonly out: string; readonly err: string }

/** Runs a command of the program to its end, as a person would type it; `before`: what leads to where it is typed. */
export async function runProgram(
  argv: readonly string[],
  cwd: string,
  before: readonly string[] = [],
): Promise<ProgramResult> {
  const [file = '', ...words] = [...before, process.execPath, PROGRAM, ...argv]
  return await new Promise((resolve) => {
    execFile(file, words, { cwd, timeout: 60_000 }, (error, out, err) => {
      resolve({ code: error ? Number(error.code ?? 1) : 0, out, err })
    })
  })
}

/** Spawns with output to a log file, in a session of its own, as a service would be. */
export function spawnLogged(
  command: readonly string[],
  options: { logFile: string; cwd: string },
): ChildProcess {
  const [file = '', ...argv] = command
  const log = openSync(options.logFile, 'a', 0o600)
  try {
    return spawn(file, argv, { cwd: options.cwd, detached: true, stdio: ['ignore', log, log] })
  } finally {
    closeSync(log)
  }
}
