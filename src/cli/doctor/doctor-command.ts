import { ClientError, type ClusterView, type DoctorDocument } from '#client'
import type { LoadedConfig } from '../../config/load-config.ts'
import { diagnoseCluster, diagnoseConfiguration, diagnoseNode, diagnosePlan } from '../../doctor/diagnose.ts'
import type { ClusterFacts } from '../../doctor/diagnosis.ts'
import { wallMs } from '../../platform/clock.ts'
import { SECOND } from '../../std/units.ts'
import { askMembers, type MemberAnswer } from '../ask-members.ts'
import { CommandFailure, EXIT } from '../command-failure.ts'
import { connectCluster, type Connection } from '../connect.ts'
import { findEndpoints, type Endpoints } from '../endpoints.ts'
import { readConfig } from '../read-config.ts'
import { printReport, type Format } from '../report.ts'
import type { World } from '../world.ts'
import { doctorReport, exitOf, type Examined } from './doctor-report.ts'
import { hostOfPlan, planFacts, problemsOf } from './plan-facts.ts'

/** An agent waits for a member that does not answer, and for its own PostgreSQL. */
const LOOK_MS = 15 * SECOND

export type DoctorOptions = {
  readonly config?: string | undefined
  readonly url?: string | undefined
  readonly token?: string | undefined
  readonly format: Format
  readonly isAll: boolean
}

/** Looks at every member that answers; with `--config` also at that file, and at its host where no agent runs yet. The exit code. */
export async function doctor(options: DoctorOptions, world: World): Promise<number> {
  const loaded = options.config === undefined ? undefined : await readConfig(options.config, world)
  const examined = await examine(options, loaded, world)
  printReport(doctorReport(examined, options), options.format, world)
  return exitOf(examined.diagnoses)
}

async function examine(
  options: DoctorOptions,
  loaded: LoadedConfig | undefined,
  world: World,
): Promise<Examined> {
  const takenAt = new Date(wallMs()).toISOString()
  if (loaded?.kind === 'refused') {
    const diagnoses = diagnoseConfiguration(problemsOf(loaded.problems))
    return { what: `configuration ${options.config}`, takenAt, diagnoses }
  }
  const endpoints = await findEndpoints(options, world)
  const connection = await reached(endpoints, loaded !== undefined)
  if (connection) {
    const configured = loaded ? diagnoseConfiguration(problemsOf(loaded.warnings)) : []
    return await examineCluster(connection, endpoints, configured)
  }
  if (!loaded) throw new Error('Without a configuration an agent has answered, or the command has failed')
  const { config } = loaded
  const [plan, node] = await Promise.all([planFacts(loaded), hostOfPlan(config, takenAt)])
  return {
    what: `node ${config.identity.nodeName} of cluster ${config.scope}, before its agent runs`,
    takenAt,
    diagnoses: [...diagnosePlan(plan), ...diagnoseNode(node)],
  }
}

/** Nobody needs to answer where there is a configuration to look at. */
async function reached(endpoints: Endpoints, isOptional: boolean): Promise<Connection | undefined> {
  try {
    return await connectCluster(endpoints)
  } catch (error) {
    const isUnreachable = error instanceof CommandFailure && error.exitCode === EXIT.unreachable
    if (isOptional && isUnreachable) return undefined
    throw error
  }
}

async function examineCluster(
  connection: Connection,
  endpoints: Endpoints,
  configured: Examined['diagnoses'],
): Promise<Examined> {
  const { view } = connection
  // Order: clocks first. An agent that looks at its disks answers no less late, but one that is asked twice at once might.
  const clocks = await askMembers(connection, endpoints, {
    timeoutMs: LOOK_MS,
    ask: async (client) => {
      const askedAt = wallMs()
      const { takenAt } = await client.view()
      const errorMs = (wallMs() - askedAt) / 2
      return { offsetMs: Date.parse(takenAt) - askedAt - errorMs, errorMs }
    },
  })
  const answers = await askMembers(connection, endpoints, {
    timeoutMs: LOOK_MS,
    ask: (client) => client.doctor({ timeoutMs: LOOK_MS }),
  })
  const facts: ClusterFacts = {
    view,
    nodes: documents(answers).map(({ facts: one }) => one),
    clocks: clocks.flatMap((one) => (one.kind === 'answered' ? [{ name: one.name, ...one.document }] : [])),
    unanswered: answers.flatMap((one) => (one.kind === 'failed' ? [unansweredOf(one, endpoints)] : [])),
  }
  return {
    what: whatWasLookedAt(view, facts),
    takenAt: view.takenAt,
    diagnoses: [
      ...configured,
      ...diagnoseCluster(facts),
      ...documents(answers).flatMap(({ diagnoses }) => diagnoses),
    ],
  }
}

function documents(answers: readonly MemberAnswer<DoctorDocument>[]): readonly DoctorDocument[] {
  return answers.flatMap((one) => (one.kind === 'answered' ? [one.document] : []))
}

function unansweredOf(
  { name, error }: { readonly name: string; readonly error: ClientError },
  { tokenProblem }: Endpoints,
): ClusterFacts['unanswered'][number] {
  const isLocked = error.status === 401
  const why = isLocked && tokenProblem !== undefined ? `${error.message} (${tokenProblem})` : error.message
  return { name, why, isForWantOfToken: isLocked }
}

function whatWasLookedAt({ scope, members }: ClusterView, { nodes }: ClusterFacts): string {
  return `cluster ${scope}, ${nodes.length} of ${members.length} members looked at`
}
