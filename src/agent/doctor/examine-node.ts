import type { DoctorDocument, NodeFacts } from '#client'
import type { NodeConfig } from '../../config/node-config.ts'
import { nodeMode } from '../../config/node-mode.ts'
import { diagnoseNode } from '../../doctor/diagnose.ts'
import { certificatesOf } from '../../doctor/host/certificates-of.ts'
import { hostFacts } from '../../doctor/host/host-facts.ts'
import type { MemberFacts } from '../../model/member.ts'
import { pid, runtimeVersion } from '../../platform/process.ts'
import type { DatabaseReport } from '../../postgres/database-report.ts'
import { messageOf } from '../../std/fault.ts'
import { reachPeer, type ReachedPeer } from './peer-reach.ts'

export type ExaminedNode = {
  readonly config: NodeConfig
  readonly version: string
  readonly secrets: { readonly replicationPassword: string; readonly isDerived: boolean }
  readonly own: () => MemberFacts
  readonly takenAt: () => string
  /** The other members. */
  readonly peers: () => readonly ReachedPeer[]
  readonly routerPid: () => number | undefined
  readonly database: () => Promise<DatabaseReport>
}

/** Looks at this node when it is asked to. Whoever asks while it looks gets the same answer: a look is not for free. */
export class NodeExaminer {
  readonly #node: ExaminedNode
  #looking: Promise<DoctorDocument> | undefined

  constructor(node: ExaminedNode) {
    this.#node = node
  }

  examine(): Promise<DoctorDocument> {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined
    })
    return this.#looking
  }

  async #look(): Promise<DoctorDocument> {
    const { config, version, secrets, own, peers, takenAt } = this.#node
    const mode = nodeMode(config)
    const login = { user: config.replication.username, password: secrets.replicationPassword }
    const others = peers()
    // Order: the way to the others is measured while nothing else is done.
    const reached = await Promise.all(
      others.map((peer) => reachPeer(peer, mode === 'managed' ? login : undefined)),
    )
    const [host, database] = await Promise.all([this.#lookAtHost(), this.#askDatabase()])
    const facts: NodeFacts = {
      node: config.identity.nodeName,
      takenAt: takenAt(),
      software: { agent: version, runtime: runtimeVersion },
      host,
      member: own(),
      setup: {
        members: others.length + 1,
        useSlots: config.replication.useSlots,
        mode,
        isApiTls: config.security.tlsEnabled,
        isSecretDerived: secrets.isDerived,
        clientConnectionsMax: config.router.enabled ? config.router.maxClientConnections : 0,
      },
      ...database,
      peers: reached,
    }
    return { facts, diagnoses: diagnoseNode(facts) }
  }

  #lookAtHost(): ReturnType<typeof hostFacts> {
    const { config, routerPid } = this.#node
    const router = routerPid()
    return hostFacts({
      stateDir: config.paths.stateDir,
      dataDir: config.postgresql.dataDir,
      processes: [{ name: 'agent', pid }, ...(router === undefined ? [] : [{ name: 'router', pid: router }])],
      certificates: certificatesOf(config),
    })
  }

  async #askDatabase(): Promise<Pick<NodeFacts, 'database' | 'databaseTrouble'>> {
    if (this.#node.own().instance.state !== 'running') return {}
    try {
      return { database: await this.#node.database() }
    } catch (error) {
      return { databaseTrouble: messageOf(error) }
    }
  }
}
