import { buildStartup, parseStartup } from '../../wire/startup.ts'
import { Fault } from '../../std/fault.ts'
import { limitsOf, type PoolOptions } from './pool-options.ts'

/**
 * A client's StartupMessage as PostgreSQL is to get it where the session is the client's own: with the database's name there,
 * and without what is ignored. Nothing where it does not fit into a packet any more.
 */
export function asConfigured(packet: Buffer, options: PoolOptions): Buffer | undefined {
  const startup = parseStartup(packet)
  if (startup.kind !== 'startup') return packet
  const { parameters, minor } = startup
  const user = parameters.get('user') ?? ''
  const database = parameters.get('database') ?? user
  const { dbname, startup: defaults } = limitsOf(options, database, user)
  const kept = [...parameters].filter(
    ([name]) => !options.ignoreStartupParameters.includes(name.toLowerCase()),
  )
  const isSame = dbname === database && kept.length === parameters.size
  // Order: byte for byte where nothing changes, whatever encoding its names are in.
  if (isSame && Object.keys(defaults).length === 0) return packet
  const wanted = new Map([...Object.entries(defaults), ...kept, ['database', dbname]])
  try {
    return buildStartup(wanted, { minor: minor === 2 ? 2 : 0 })
  } catch (error) {
    if (error instanceof Fault) return undefined
    throw error
  }
}
