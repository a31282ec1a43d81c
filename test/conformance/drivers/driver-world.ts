import { PooledRouters, APP } from '../../support/pooled-router.ts'
import { REPOSITORY_ROOT } from '../../support/repository-root.ts'
import { freePort, running, SUPERUSER, type TestPostgres } from '../../support/postgres.ts'
import { eventually } from '../../support/raw-client.ts'
import { needs } from '../../../scripts/machine.mjs'
import { behaviours, DRIVERS, outcomeOf, PLACES, type DriverName, type PlaceName } from './behaviours.ts'
import { DriverProgram, type DriverAnswer } from './driver-program.ts'

/** A PostgreSQL with a standby, routers before them with one pool mode each, and what every driver did at every port. */

const RESTART = 'restart of the server'
const PARAMETERS = { shared_buffers: '16MB', max_connections: '200' }
const programFolder = `${REPOSITORY_ROOT}/test/conformance/drivers/programs/`
const JDBC_JAR = '/usr/share/java/postgresql.jar'
/** Debian's, whatever else is called python3 here: its packages are this one's. */
const PYTHON = '/usr/bin/python3'

const commands: Readonly<Record<DriverName, readonly string[]>> = {
  'node-postgres': [process.execPath, `${programFolder}node-postgres.mjs`],
  'postgres.js': [process.execPath, `${programFolder}postgres-js.mjs`],
  JDBC: [
    'java',
    '-XX:TieredStopAtLevel=1',
    '-XX:+UseSerialGC',
    '-cp',
    JDBC_JAR,
    `${programFolder}JdbcProgram.java`,
  ],
  psycopg2: [PYTHON, '-B', `${programFolder}psycopg2_program.py`],
  psycopg3: [PYTHON, '-B', `${programFolder}psycopg3_program.py`],
}

/** The drivers that this machine has. */
export function driversHere(): readonly DriverName[] {
  const hasPython = needs['python-drivers'].isMet()
  return DRIVERS.filter((driver) => {
    if (driver === 'JDBC') return needs['java-driver'].isMet()
    return driver.startsWith('psycopg') ? hasPython : true
  })
}

type Ports = Readonly<Record<PlaceName, number>>

export class DriverWorld {
  readonly #routers: PooledRouters
  readonly #programs = new Map<DriverName, DriverProgram>()
  readonly #answers = new Map<string, DriverAnswer>()
  #ports: Ports | undefined

  constructor(postgres: TestPostgres) {
    this.#routers = new PooledRouters(postgres)
  }

  async start(drivers: readonly DriverName[]): Promise<void> {
    const routers = this.#routers
    // First: a Java virtual machine has its program to compile meanwhile.
    for (const driver of drivers) {
      const program = new DriverProgram(commands[driver], APP.password)
      program.start()
      this.#programs.set(driver, program)
    }
    routers.validForMs = 60_000
    await routers.start({ parameters: PARAMETERS })
    const standbyPort = await freePort()
    const standby = await routers.workspace.instance('n2', { port: standbyPort, parameters: PARAMETERS })
    const source = { host: '127.0.0.1', port: routers.port }
    await standby.clone({ source })
    await running(standby.start({ as: 'standby', follow: source }))
    const admin = await routers.direct()
    for (const driver of DRIVERS) {
      const user = `"${driver}"`
      await admin.query(`create role ${user} login password '${APP.password}'`)
      await admin.query(`grant create on schema public to ${user}`)
    }
    routers.replicas = [{ name: 'n2', host: '127.0.0.1', port: standbyPort, lagBytes: 0 }]
    // Three of five places by two workers, two by one process: every driver meets a router of either kind.
    const transaction = await routers.process({ poolMode: 'transaction' }, { workers: WORKERS ?? 2 })
    const session = await routers.process({ poolMode: 'session' }, { workers: WORKERS ?? 1 })
    const statement = await routers.process({ poolMode: 'statement' }, { workers: WORKERS ?? 1 })
    this.#ports = {
      write: transaction.ports.primary,
      read: transaction.ports.replica,
      session: session.ports.pooled,
      transaction: transaction.ports.pooled,
      statement: statement.ports.pooled,
    }
    // The roles are there, and each router knows the replica.
    await eventually(async () => {
      const on = await routers.connect(transaction.ports.replica, SUPERUSER_LOGIN)
      const { rows } = await on.query<{ there: boolean }>(
        'select pg_is_in_recovery() and count(*) = $1 as there from pg_roles where rolname = any($2)',
        [DRIVERS.length, DRIVERS],
      )
      if (rows[0]?.there !== true) throw new Error('the replica is behind')
    })
  }

  /** Everything that the drivers here do, each at its own pace; PostgreSQL is restarted once for all. */
  async run(drivers: readonly DriverName[]): Promise<void> {
    await Promise.all(drivers.map((driver) => this.#runAll(driver)))
    const forAll = (behaviour: string) =>
      Promise.all(
        drivers.map(async (driver) => {
          for (const place of PLACES) await this.#ask(driver, place, behaviour)
        }),
      )
    await forAll('before the restart')
    await this.#routers.instance.stop({ mode: 'fast' })
    await running(this.#routers.instance.start({ as: 'primary' }))
    await forAll('after the restart')
  }

  answer(driver: DriverName, place: PlaceName, behaviour: string): DriverAnswer | undefined {
    return this.#answers.get(keyOf(driver, place, behaviour === RESTART ? 'after the restart' : behaviour))
  }

  async dispose(): Promise<void> {
    for (const program of this.#programs.values()) program.stop()
    await this.#routers.dispose()
  }

  async #runAll(driver: DriverName): Promise<void> {
    for (const place of PLACES) {
      for (const behaviour of behaviours) {
        const isAsked = outcomeOf(behaviour, driver, place).kind !== 'absent' && behaviour.name !== RESTART
        if (isAsked) await this.#ask(driver, place, behaviour.name)
      }
    }
  }

  async #ask(driver: DriverName, place: PlaceName, behaviour: string): Promise<void> {
    const program = this.#programs.get(driver)
    const port = this.#ports?.[place]
    if (!program || port === undefined) throw new Error('not started')
    const words = behaviour.includes('restart') ? [driver, place] : [driver, place, behaviour]
    const tag = words
      .join('_')
      .toLowerCase()
      .replaceAll(/[^a-z0-9]+/g, '_')
    const answer = await program.ask({ behaviour, place, port, user: driver, tag })
    this.#answers.set(keyOf(driver, place, behaviour), answer)
  }
}

/** Everything by routers of so many workers, where somebody wants to see that. */
const WORKERS =
  process.env['DRIVERS_WORKERS'] === undefined ? undefined : Number(process.env['DRIVERS_WORKERS'])

const SUPERUSER_LOGIN = { user: SUPERUSER.name, password: SUPERUSER.password }

function keyOf(driver: DriverName, place: PlaceName, behaviour: string): string {
  return [driver, place, behaviour].join(' | ')
}
