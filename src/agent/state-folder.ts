import { Fault, messageOf } from '../std/fault.ts'
import type { Pledge } from '../model/ack-rule.ts'
import { MEMBERSHIP_NOTES_FILE, type MembershipNotes } from '../model/membership.ts'
import { fs, join, mkdirSync, readTextIfPresent, rmSync, writeFileDurably } from '../platform/disk.ts'
import { randomHex, randomSecret } from '../platform/random.ts'
import type { Genesis } from './genesis.ts'
import type { SeenCluster } from '../store/etcd/cluster-identity.ts'
import type { EtcdNotes } from './etcd/etcd-founding.ts'
import type { NodeState } from './host-ports.ts'

const FOUNDED = 'founded'
const SEEN_ETCD = 'etcd.json'

type Promotion = { readonly epoch: number; readonly incarnation: string }
type Noted = {
  promotion: Promotion | undefined
  pledge: Pledge | undefined
  isGuardReleased: boolean
  parameters: Parameters
}

type Parameters = Readonly<Record<string, string>>

const GUARD_RELEASED_FILE = 'guard-released'
const PARAMETERS_FILE = 'parameters.json'

/** The folder beside the data directory in which the agent keeps what must survive it. Mode 0700. */
export class StateFolder implements NodeState, EtcdNotes {
  readonly path: string
  readonly #noted: Noted

  private constructor(path: string, noted: Noted) {
    this.path = path
    this.#noted = noted
  }

  static async open(path: string): Promise<StateFolder> {
    try {
      mkdirSync(path, { recursive: true, mode: 0o700 })
    } catch (error) {
      throw new Fault(
        'STATE_FOLDER_UNUSABLE',
        `Cannot create the state folder "${path}": ${messageOf(error)}`,
        {
          cause: error,
        },
      )
    }
    return new StateFolder(path, {
      promotion: await readJson<Promotion>(join(path, 'promotion.json')),
      pledge: await readJson<Pledge>(join(path, 'pledge.json')),
      parameters: (await readJson<Parameters>(join(path, PARAMETERS_FILE))) ?? {},
      isGuardReleased: (await readTextIfPresent(join(path, GUARD_RELEASED_FILE))) !== undefined,
    })
  }

  get raftFolder(): string {
    return join(this.path, 'raft')
  }

  get reportsFolder(): string {
    return join(this.path, 'lost')
  }

  get tokenFile(): string {
    return join(this.path, 'token')
  }

  logFile(process: 'guard' | 'router'): string {
    return join(this.path, `${process}.log`)
  }

  promotedIn(): Promotion | undefined {
    return this.#noted.promotion
  }

  pledge(): Pledge | undefined {
    return this.#noted.pledge
  }

  async writePledge(pledge: Pledge): Promise<void> {
    await writeFileDurably(join(this.path, 'pledge.json'), JSON.stringify(pledge))
    this.#noted.pledge = pledge
  }

  parameters(): Parameters {
    return this.#noted.parameters
  }

  async writeParameters(parameters: Parameters): Promise<void> {
    await writeFileDurably(join(this.path, PARAMETERS_FILE), JSON.stringify(parameters))
    this.#noted.parameters = parameters
  }

  isGuardReleased(): boolean {
    return this.#noted.isGuardReleased
  }

  async writeGuardReleased(isReleased: boolean): Promise<void> {
    const path = join(this.path, GUARD_RELEASED_FILE)
    if (isReleased) await writeFileDurably(path, '')
    else rmSync(path, { force: true })
    this.#noted.isGuardReleased = isReleased
  }

  async writePromotion(promotion: Promotion | undefined): Promise<void> {
    const path = join(this.path, 'promotion.json')
    if (promotion) await writeFileDurably(path, JSON.stringify(promotion))
    else rmSync(path, { force: true })
    this.#noted.promotion = promotion
  }

  /** The random id of this node in the founding of the cluster; made once. */
  nonce(): Promise<string> {
    return this.#madeOnce('nonce', () => randomHex(16))
  }

  /** The token that guards changes over the API, unless the config has one; made once. */
  token(): Promise<string> {
    return this.#madeOnce('token', () => randomSecret(24))
  }

  async #madeOnce(name: string, make: () => string): Promise<string> {
    const path = join(this.path, name)
    const present = await readTextIfPresent(path)
    if (present !== undefined && present.trim() !== '') return present.trim()
    const value = make()
    await writeFileDurably(path, `${value}\n`, { mode: 0o600 })
    return value
  }

  /** The genesis that this node's consensus group was founded with. */
  async readGenesis(): Promise<Genesis | undefined> {
    return readJson<Genesis>(join(this.path, 'genesis.json'))
  }

  /** This node has had a consensus log: without it, it may have voted and not know it. */
  async wasFounded(): Promise<boolean> {
    return (await readTextIfPresent(join(this.path, FOUNDED))) !== undefined
  }

  async noteFounded(): Promise<void> {
    if (!(await this.wasFounded())) await writeFileDurably(join(this.path, FOUNDED), '')
  }

  async writeGenesis(genesis: Genesis): Promise<void> {
    await writeFileDurably(join(this.path, 'genesis.json'), JSON.stringify(genesis))
  }

  async readMembership(): Promise<MembershipNotes | undefined> {
    return readJson<MembershipNotes>(join(this.path, MEMBERSHIP_NOTES_FILE))
  }

  async writeMembership(notes: MembershipNotes): Promise<void> {
    await writeFileDurably(join(this.path, MEMBERSHIP_NOTES_FILE), JSON.stringify(notes))
  }

  readSeenEtcd(): Promise<SeenCluster | undefined> {
    return readJson<SeenCluster>(join(this.path, SEEN_ETCD))
  }

  async writeSeenEtcd(seen: SeenCluster): Promise<void> {
    await writeFileDurably(join(this.path, SEEN_ETCD), JSON.stringify(seen))
  }

  /** Writes the agent's pid for people and supervisors. */
  async writePid(pid: number): Promise<void> {
    await fs.writeFile(join(this.path, 'agent.pid'), `${pid}\n`, { mode: 0o600 })
  }
}

async function readJson<Content>(path: string): Promise<Content | undefined> {
  const text = await readTextIfPresent(path)
  if (text === undefined) return undefined
  try {
    return JSON.parse(text) as Content
  } catch (error) {
    // Never taken for absent: a promotion or a founding that is forgotten could be made a second time.
    throw new Fault('STATE_FOLDER_UNUSABLE', `Cannot read "${path}": ${messageOf(error)}`, { cause: error })
  }
}
