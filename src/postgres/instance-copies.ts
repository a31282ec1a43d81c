import type { Logger } from '../platform/log.ts'
import { Fault } from '../std/fault.ts'
import { cloneInstance, type CloneProgress, type CloneResult } from './clone.ts'
import { readControlFile } from './control-file.ts'
import type { InstanceOptions } from './instance-outcome.ts'
import type { InstanceSettings } from './instance-settings.ts'
import type { ReplicationSource } from './parameters.ts'
import { instanceProcesses } from './process-tree.ts'
import { rewindInstance, rewindObstacle, type RewindResult } from './rewind.ts'

export type CopyRequest = {
  readonly source: ReplicationSource
  readonly onProgress?: ((progress: CloneProgress) => void) | undefined
  readonly signal?: AbortSignal | undefined
}

/** The two ways in which an instance gets its data from another member: all of it, or what differs. */
export class InstanceCopies {
  readonly #log: Logger
  readonly #settings: InstanceSettings
  readonly #options: InstanceOptions
  /** Of the one that runs now. */
  progress: CloneProgress | undefined

  constructor(deps: { log: Logger; settings: InstanceSettings }, options: InstanceOptions) {
    this.#log = deps.log
    this.#settings = deps.settings
    this.#options = options
  }

  clone(request: CopyRequest & { systemId?: string | undefined }): Promise<CloneResult> {
    const { dataDir, osUser, replication, memberName } = this.#options
    return this.#into('Cloned', request, (shared) =>
      cloneInstance({
        ...shared,
        dataDir,
        owner: osUser,
        source: {
          ...request.source,
          user: replication.name,
          password: replication.password,
          applicationName: memberName,
        },
        systemId: request.systemId,
        signal: request.signal,
      }),
    )
  }

  async rewindObstacle(): Promise<string | undefined> {
    const { binaries, dataDir } = this.#options
    return rewindObstacle(binaries, await readControlFile(dataDir))
  }

  rewind(request: CopyRequest): Promise<RewindResult> {
    const { dataDir, osUser, binaries, replication, database, memberName, parameters } = this.#options
    return this.#into('Rewound', request, (shared) =>
      rewindInstance(
        { log: this.#log },
        {
          ...shared,
          dataDir,
          binaries,
          owner: osUser,
          source: request.source,
          role: replication,
          database,
          memberName,
          hasRestoreCommand: (parameters['restore_command'] ?? '') !== '',
          signal: request.signal,
        },
      ),
    )
  }

  async #into<Result extends object>(
    done: string,
    { source, onProgress }: CopyRequest,
    work: (shared: {
      onProgress: (progress: CloneProgress) => void
      finish: (folder: string) => Promise<void>
    }) => Promise<Result>,
  ): Promise<Result> {
    const { dataDir } = this.#options
    if (instanceProcesses(dataDir).length > 0) {
      throw new Fault('PG_STILL_RUNNING', `Cannot replace "${dataDir}": its PostgreSQL still runs`)
    }
    try {
      const result = await work({
        onProgress: (progress) => {
          this.progress = progress
          onProgress?.(progress)
        },
        finish: async (folder) => {
          await this.#settings.write(folder, 'standby', source)
        },
      })
      this.#log.info(done, { ...result, from: `${source.host}:${source.port}` })
      return result
    } finally {
      this.progress = undefined
    }
  }
}
