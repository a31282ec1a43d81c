import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe } from 'vitest'
import { silentLogger } from '../../src/platform/log.ts'
import { findDatabaseUser, type OsUser } from '../../src/platform/os-user.ts'
import { findBinaries, type Binaries } from '../../src/postgres/binaries.ts'
import { findEmbeddedPackage, usableEmbeddedFolder } from '../../src/postgres/embedded-package.ts'
import { createInstance, type Instance } from '../../src/postgres/instance.ts'
import type { InstanceOptions, StartOutcome } from '../../src/postgres/instance-outcome.ts'
import { killInstance } from '../../src/postgres/process-tree.ts'

/** Real PostgreSQL for tests: `PG_METAKO_TEST_PG` (a major version, set by the vitest project) chooses which. */
export type TestPostgres = { readonly binaries: Binaries; readonly osUser: OsUser | undefined }

const wantedMajor = process.env['PG_METAKO_TEST_PG'] ?? '18'
const found = await findTestPostgres()

async function findTestPostgres(): Promise<TestPostgres | string> {
  const osUser = findDatabaseUser({})
  let folder = `/usr/lib/postgresql/${wantedMajor}/bin`
  if (!existsSync(join(folder, 'postgres'))) {
    const embedded = findEmbeddedPackage()
    if (embedded.kind === 'unsupported') return embedded.reason
    if (!embedded.package.version.startsWith(`${wantedMajor}.`)) {
      return `PostgreSQL ${wantedMajor} is not installed`
    }
    folder = await usableEmbeddedFolder(embedded.package, osUser)
  }
  return { binaries: await findBinaries({ configured: folder, osUser }), osUser }
}

/** What the tests would use here; throws the reason where there is none. */
export function testPostgres(): TestPostgres {
  if (typeof found === 'string') throw new Error(found)
  return found
}

/**
 * `describe` for tests that need PostgreSQL. Without it they are skipped and the title says why; where all are required
 * (`PG_METAKO_TEST_REQUIRE=all`) they fail.
 */
export function describePostgres(title: string, body: (postgres: () => TestPostgres) => void): void {
  const isOptional = process.env['PG_METAKO_TEST_REQUIRE'] !== 'all'
  const version = typeof found === 'string' ? `skipped: ${found}` : `PostgreSQL ${found.binaries.version}`
  describe.skipIf(typeof found === 'string' && isOptional)(`${title} (${version})`, () => {
    body(() => {
      if (typeof found === 'string') throw new Error(`PG_METAKO_TEST_REQUIRE=all, but ${found}`)
      return found
    })
  })
}

export const SUPERUSER = { name: 'postgres', password: "su'per\\secret" }
const REPLICATION = { name: 'replicator', password: "repl'ica\\tion" }

/** A folder that the database user can enter, with instances in it; `dispose` leaves no process and no file behind. */
export class Workspace {
  readonly folder: string
  readonly #postgres: TestPostgres
  readonly #instances: Instance[] = []

  constructor(postgres: TestPostgres) {
    this.#postgres = postgres
    this.folder = mkdtempSync(join(tmpdir(), 'metako-pg-'))
    this.own(this.folder)
    chmodSync(this.folder, 0o755)
  }

  /** Gives a file or folder to the database user. */
  own(path: string): void {
    const { osUser } = this.#postgres
    if (osUser) chownSync(path, osUser.uid, osUser.gid)
  }

  /** An instance that is not there yet, with a port from the operating system. */
  async instance(name: string, changes: Partial<InstanceOptions> = {}): Promise<Instance> {
    const port = changes.port ?? (await freePort())
    const instance = createInstance(
      { log: silentLogger() },
      {
        dataDir: join(this.folder, name),
        runDir: join(this.folder, 'run'),
        binaries: this.#postgres.binaries,
        osUser: this.#postgres.osUser,
        port,
        listenAddresses: ['127.0.0.1'],
        superuser: SUPERUSER,
        database: 'postgres',
        replication: REPLICATION,
        useSlots: false,
        clusterName: 'test',
        memberName: name,
        parameters: { shared_buffers: '16MB', max_connections: '30' },
        pgHba: [],
        startTimeoutMs: 30_000,
        stopTimeoutMs: 10_000,
        ...changes,
      },
    )
    this.#instances.push(instance)
    return instance
  }

  async dispose(): Promise<void> {
    for (const instance of this.#instances) {
      await killInstance(instance.dataDir, { deadlineMs: 5000 })
      instance.close()
    }
    rmSync(this.folder, { recursive: true, force: true })
  }
}

export function makeFolder(workspace: Workspace, name: string): string {
  const path = join(workspace.folder, name)
  mkdirSync(path)
  workspace.own(path)
  return path
}

/** The start worked, or the test ends here with the reason. */
export async function running(start: Promise<StartOutcome>): Promise<void> {
  const outcome = await start
  if (outcome.kind !== 'running') throw new Error(`Not started: ${JSON.stringify(outcome)}`)
}

/** A port that nobody used a moment ago. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo
      server.close(() => resolve(port))
    })
  })
}
