import type { ServerAddress, ServerDescription } from '../model/server-description.ts'
import { dirname, realpathSync } from '../platform/disk.ts'
import { findPostmaster } from '../postgres/postmaster.ts'
import { refusedParameters } from '../postgres/parameters.ts'
import { SqlSession } from '../postgres/sql-session.ts'
import { SECOND } from '../std/units.ts'

const ASK_MS = 5 * SECOND

/** What somebody has set, in whatever way that outlives a session. */
const SETTINGS = `select name, current_setting(name) as value from pg_settings
  where context <> 'internal' and source in ('configuration file', 'command line', 'environment variable')
    and category <> 'Write-Ahead Log / Recovery Target' order by name`

const OTHERS = `select current_setting('data_directory') as data_dir, current_setting('listen_addresses') as listen,
  current_setting('port')::int as port, current_setting('cluster_name') as cluster,
  pg_size_bytes(current_setting('wal_segment_size'))::int as segment,
  (select pg_encoding_to_char(encoding) from pg_database where datname = 'template1') as encoding,
  pg_read_file(current_setting('hba_file')) as hba`

type Others = {
  readonly data_dir: string
  readonly listen: string
  readonly port: number
  readonly cluster: string
  readonly segment: number
  readonly encoding: string
  readonly hba: string
}

/** Asks a running PostgreSQL, as its superuser, what it is. Throws PostgreSQL's own error, or that it is not reached. */
export async function describeServer(address: ServerAddress): Promise<ServerDescription> {
  const session = new SqlSession({ target: () => address, name: 'pg-metako generate-config' })
  try {
    const settings = await session.query<{ name: string; value: string }>({ text: SETTINGS }, ASK_MS)
    const [others] = await session.query<Others>({ text: OTHERS }, ASK_MS)
    if (!others) throw new Error('PostgreSQL said nothing of itself')
    const all = Object.fromEntries(settings.map(({ name, value }) => [name, value]))
    const left = refusedParameters(all)
    const isLeft = (name: string) => left.some((one) => one.name === name)
    const binDir = programsOf(others.data_dir)
    return {
      dataDir: others.data_dir,
      ...(binDir === undefined ? {} : { binDir }),
      listenAddresses: others.listen,
      port: others.port,
      clusterName: others.cluster,
      encoding: others.encoding,
      walSegmentBytes: others.segment,
      parameters: Object.fromEntries(Object.entries(all).filter(([name]) => !isLeft(name))),
      left,
      hba: hbaLines(others.hba),
    }
  } finally {
    session.close()
  }
}

/** Where the program lies that runs there; `undefined` on another host, or as a user who may not look. */
function programsOf(dataDir: string): string | undefined {
  try {
    const postmaster = findPostmaster(dataDir)
    return postmaster && dirname(realpathSync(`/proc/${postmaster.pid}/exe`))
  } catch {
    return undefined
  }
}

/** Without comments and empty lines; a line that goes on in the next one is one. */
function hbaLines(text: string): readonly string[] {
  return text
    .replaceAll(/\\\r?\n/g, ' ')
    .split('\n')
    .map((line) => line.replace(/(^|\s)#.*$/, '').trim())
    .filter((line) => line !== '')
}
