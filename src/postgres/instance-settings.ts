import { NOBODY } from '../model/ack-rule.ts'
import type { Role } from '../model/member.ts'
import { signalProcess } from '../platform/process.ts'
import { inspectDataDirectory } from './data-directory.ts'
import { endOfWal } from './end-of-wal.ts'
import type { LiveFactsReader } from './facts.ts'
import {
  readFollowed,
  readSynchronousNames,
  writeInstanceFiles,
  writeSettings,
  type FilesInput,
  type SettingsChoice,
} from './instance-files.ts'
import type { ReplicationSource } from './parameters.ts'
import type { Postmaster } from './postmaster.ts'
import type { ReplicaLimits } from './replica-limits.ts'
import { SqlSession, type SqlTarget } from './sql-session.ts'
import { stopReceiving } from './stop-receiving.ts'
import { commitsWait, isInRecovery, seesSetting } from './synchronous-commit.ts'

type Deps = {
  readonly adopt: () => Postmaster | undefined
  readonly target: () => SqlTarget
  /** The connection that is kept open to watch. */
  readonly session: SqlSession
  readonly live: LiveFactsReader
}

/**
 * The settings that the agent owns, durable in the data directory: whom the instance follows, and whom its commits wait for. A
 * running server loads what changes; where safety hangs on it, it is proven that it did.
 */
export class InstanceSettings {
  readonly #deps: Deps
  readonly #dataDir: string
  readonly #files: FilesInput
  /** Of the whole cluster; those of this node's config count before them. */
  #parameters: FilesInput['parameters'] = {}
  #above: ReplicaLimits = {}
  #synchronousNames: string | undefined
  /** The names that the server of now was seen to work by. */
  #provenNames: string | undefined

  constructor(deps: Deps, options: { dataDir: string; files: FilesInput }) {
    this.#deps = deps
    this.#dataDir = options.dataDir
    this.#files = options.files
  }

  /** Writes the files into a folder that no server runs on; true when something changed. */
  async write(folder: string, as: Role, follow: ReplicationSource | undefined): Promise<boolean> {
    const synchronousNames = await this.#currentNames()
    return writeInstanceFiles(folder, this.#input, { as, follow, synchronousNames })
  }

  async configure(as: Role, follow: ReplicationSource | undefined): Promise<void> {
    if (await this.write(this.#dataDir, as, follow)) this.reload()
  }

  get #input(): FilesInput {
    const parameters = { ...this.#parameters, ...this.#files.parameters }
    return { ...this.#files, parameters, above: this.#above }
  }

  /** From now on the files have these as well; those of a directory that lies there have them when this returns. */
  async setParameters(parameters: FilesInput['parameters']): Promise<void> {
    this.#parameters = parameters
    if ((await inspectDataDirectory(this.#dataDir)).kind !== 'instance') return
    const follow = await readFollowed(this.#dataDir)
    const synchronousNames = await this.#currentNames()
    await this.#change({ follow, as: follow ? 'standby' : 'primary', synchronousNames })
    this.#deps.live.filesChanged()
  }

  /** What the primary runs with that this instance is going to follow. */
  useLimits(above: ReplicaLimits): void {
    this.#above = above
  }

  /** What a start would use, where no file has to be written yet. */
  useParameters(parameters: FilesInput['parameters']): void {
    this.#parameters = parameters
  }

  /** Points the standby at `source`, or at nobody; durable, and loaded without a restart. */
  async follow(source: ReplicationSource | undefined): Promise<void> {
    await this.configure('standby', source)
  }

  /** Makes a running server read its files again. */
  reload(): void {
    const postmaster = this.#deps.adopt()
    if (postmaster) signalProcess(postmaster.pid, 'SIGHUP')
  }

  /**
   * Sets `synchronous_standby_names`. Returns once every process of a running server has been told and, where it was empty before,
   * commits are seen to wait (safety.md 5): throws when that cannot be proven. Where commits waited for nobody that there is, they wait
   * until this is in force: nothing has to be seen then, and a promotion goes on.
   */
  async setSynchronousNames(names: string, deadlineMs: number): Promise<void> {
    // That commits wait for nobody needs no proof.
    if (names === (await this.#currentNames()) && (names === '' || names === this.#provenNames)) return
    const before = this.#provenNames ?? ''
    // Order: only while the names match nobody can a commit be seen to wait.
    if (before === '' && names !== '' && names !== NOBODY) await this.setSynchronousNames(NOBODY, deadlineMs)
    this.#synchronousNames = names
    this.#provenNames = undefined
    // Where nothing lies yet, the clone that comes writes them.
    if ((await inspectDataDirectory(this.#dataDir)).kind !== 'instance') return
    const follow = await readFollowed(this.#dataDir)
    await this.#change({ follow, as: follow ? 'standby' : 'primary', synchronousNames: names })
    const isSafeAtOnce = before === NOBODY && names !== ''
    if (this.#deps.adopt() && !isSafeAtOnce) {
      await this.#withFreshSession(async (session) => {
        await seesSetting(session, { name: 'synchronous_standby_names', value: names, deadlineMs })
        if (before !== '' || names === '' || (await isInRecovery(session, deadlineMs))) return
        await this.#withFreshSession((probe) => commitsWait(probe, session, deadlineMs))
      })
    }
    this.#provenNames = names
  }

  /**
   * Lets no WAL in any more and says where it ends (safety.md 2, 3). Throws when one of the two cannot be proven. A running standby
   * stays up and is readable.
   */
  async stopReceiving(deadlineMs: number): Promise<{ timeline: number; flushLsn: string }> {
    const { adopt, session, live } = this.#deps
    await this.#change({ follow: undefined, as: 'standby', synchronousNames: await this.#currentNames() })
    const postmaster = adopt()
    if (!postmaster) {
      const { timeline, endLsn } = await endOfWal({ dataDir: this.#dataDir })
      return { timeline, flushLsn: endLsn }
    }
    return stopReceiving({ dataDir: this.#dataDir, postmaster, session, live, deadlineMs })
  }

  /** Writes what changes while a server runs, and has it loaded: also where it was written already, since an agent can end in between. */
  async #change(choice: SettingsChoice): Promise<void> {
    await writeSettings(this.#dataDir, this.#input, choice)
    this.reload()
  }

  async #currentNames(): Promise<string> {
    this.#synchronousNames ??= await readSynchronousNames(this.#dataDir)
    return this.#synchronousNames
  }

  /** A new connection is a new process of the postmaster: it shows what the postmaster has read. */
  async #withFreshSession<T>(work: (session: SqlSession) => Promise<T>): Promise<T> {
    const session = new SqlSession({ target: this.#deps.target, name: 'pg-metako proof' })
    try {
      return await work(session)
    } finally {
      session.close()
    }
  }
}
