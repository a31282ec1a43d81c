import { scramVerifier } from '../auth/scram.ts'
import { fs, join, writeFileDurably } from '../platform/disk.ts'
import { hmacSha256, pbkdf2Sha256, sha256 } from '../platform/hash.ts'
import type { OsUser } from '../platform/os-user.ts'
import { randomBytes } from '../platform/random.ts'
import { Fault } from '../std/fault.ts'
import { MINUTE } from '../std/units.ts'
import { syncTree } from './backup-archive.ts'
import type { Binaries } from './binaries.ts'
import { readControlFile } from './control-file.ts'
import {
  markIncomplete,
  moveIntoPlace,
  prepareBuildFolder,
  putStandbySignal,
  writeIncarnation,
} from './data-directory.ts'
import { rewindGrants } from './rewind-access.ts'
import { runTool } from './run-tool.ts'

export type Credentials = { readonly name: string; readonly password: string }

/** What a new cluster is born with. */
export type BootstrapContent = {
  readonly users: readonly (Credentials & { readonly options: readonly string[] })[]
  readonly databases: readonly { readonly name: string; readonly owner: string }[]
  /** Extra arguments for initdb, with or without the leading dashes; Patroni's `key: value` is understood too. */
  readonly initdbArgs: readonly string[]
}

const TOOL_TIMEOUT_MS = 5 * MINUTE
/** Of WAL, where nobody chose: PostgreSQL's own default is four times as much. */
const SEGMENT_MIB = 4

const ROLE_OPTIONS =
  /^(no)?(superuser|createdb|createrole|inherit|login|replication|bypassrls)$|^connection limit -?\d+$/i

/**
 * Founds a new cluster in `dataDir`: initdb, roles and databases, all without a network, in a marked sibling folder that is renamed
 * in when it is whole. Throws `PG_TOOL_FAILED`, `BOOTSTRAP_INVALID` or what the folders have to say.
 */
export async function initialiseInstance(options: {
  dataDir: string
  binaries: Binaries
  osUser: OsUser | undefined
  superuser: Credentials
  replication: Credentials
  content: BootstrapContent
  /** Writes our own files into the folder. */
  configure: (folder: string) => Promise<void>
  /** The last thing before the folder is moved to where it belongs. */
  before?: ((incarnation: string) => Promise<void>) | undefined
}): Promise<{
  readonly systemId: string
  readonly incarnation: string
  readonly setAside: string | undefined
}> {
  const { dataDir, binaries, osUser, superuser } = options
  const statements = bootstrapStatements({ ...options, majorVersion: binaries.majorVersion })
  const build = await prepareBuildFolder({
    dataDir,
    suffix: '.init',
    owner: osUser,
    reason: 'an initialisation was interrupted',
  })
  // initdb wants an empty folder, so the mark and the password lie one above.
  const folder = join(build, 'data')
  const passwordFile = join(build, 'password')
  await writeFileDurably(passwordFile, `${superuser.password}\n`, { owner: osUser })
  try {
    await runTool({
      path: join(binaries.folder, 'initdb'),
      args: initdbArguments(options.content.initdbArgs, {
        folder,
        superuser: superuser.name,
        passwordFile,
        majorVersion: binaries.majorVersion,
      }),
      osUser,
      timeoutMs: TOOL_TIMEOUT_MS,
    })
    await keepWalSizes(folder, options.content.initdbArgs)
    await options.configure(folder)
    await runTool({
      path: join(binaries.folder, 'postgres'),
      args: [
        '--single',
        '-j',
        '-D',
        folder,
        '-c',
        'exit_on_error=on',
        '-c',
        'log_statement=none',
        'postgres',
      ],
      osUser,
      timeoutMs: TOOL_TIMEOUT_MS,
      input: statements.map((statement) => `${statement};\n\n`).join(''),
    })
    const { systemId } = await readControlFile(folder)
    const incarnation = await writeIncarnation(folder, osUser)
    await putStandbySignal(folder, osUser)
    await markIncomplete(folder, 'an initialisation was interrupted', osUser)
    await syncTree(folder)
    await options.before?.(incarnation)
    const setAside = await moveIntoPlace(folder, dataDir)
    return { systemId, incarnation, setAside }
  } finally {
    await fs.rm(passwordFile, { force: true })
    // Whole or not, nothing in it is of use any more; where this is not reached, the mark says so.
    await fs.rm(build, { recursive: true, force: true })
  }
}

/** initdb counts both in segments; smaller ones shall cost no more checkpoints. */
function keepWalSizes(folder: string, initdbArgs: readonly string[]): Promise<void> {
  const isChosen = initdbArgs.map(initdbArgument).some((argument) => argument.startsWith('--wal-segsize'))
  if (isChosen) return Promise.resolve()
  return fs.appendFile(join(folder, 'postgresql.conf'), "max_wal_size = '1GB'\nmin_wal_size = '80MB'\n")
}

/** Order: ours come last, since initdb takes the last of two. */
export function initdbArguments(
  extra: readonly string[],
  own: { folder: string; superuser: string; passwordFile: string; majorVersion: number },
): readonly string[] {
  const chosen = extra.map(initdbArgument)
  const forbidden = chosen.find((argument) =>
    /^(-D|--pgdata|-W|--pwprompt|-N|-S|--sync-only|-s|--show)\b/.test(argument),
  )
  if (forbidden !== undefined) {
    throw new Fault('BOOTSTRAP_INVALID', `Cannot pass "${forbidden}" to initdb: it is set by pg-metako`)
  }
  return [
    '--encoding=UTF8',
    '--data-checksums',
    '--auth-local=scram-sha-256',
    '--auth-host=scram-sha-256',
    // A promotion copies one segment, and the first commit after it waits until a standby has filled another (docs/adr/0028).
    `--wal-segsize=${SEGMENT_MIB}`,
    ...chosen,
    // Synced once, at the end, with what comes after.
    '--no-sync',
    `--username=${own.superuser}`,
    `--pwfile=${own.passwordFile}`,
    `--pgdata=${own.folder}`,
  ]
}

function initdbArgument(text: string): string {
  if (text.startsWith('-')) return text
  const match = /^([a-z-]+)\s*[:=]\s*(.*)$/.exec(text)
  if (!match) return `--${text}`
  return match[2] === 'true' ? `--${match[1]}` : `--${match[1]}=${match[2]}`
}

/** One statement each for roles and databases. Passwords go in as verifiers: SQL text can land in a log. */
export function bootstrapStatements(options: {
  superuser: Credentials
  replication: Credentials
  content: BootstrapContent
  majorVersion: number
}): readonly string[] {
  const { superuser, replication, content } = options
  const statements: string[] = []
  const made = new Set([superuser.name])
  const createRole = (role: Credentials, roleOptions: readonly string[]) => {
    if (made.has(role.name)) return
    made.add(role.name)
    const login = roleOptions.some((option) => /^(no)?login$/i.test(option)) ? [] : ['LOGIN']
    const words = [...login, ...roleOptions].join(' ')
    statements.push(`CREATE ROLE ${identifier(role.name)} ${words} PASSWORD '${verifier(role.password)}'`)
  }
  createRole(replication, ['REPLICATION'])
  if (replication.name !== superuser.name)
    statements.push(...rewindGrants(identifier(replication.name), options.majorVersion))
  for (const user of content.users) {
    const wrong = user.options.find((option) => !ROLE_OPTIONS.test(option))
    if (wrong !== undefined) {
      throw new Fault(
        'BOOTSTRAP_INVALID',
        `Cannot create user "${user.name}": option "${wrong}" is not known`,
      )
    }
    createRole(user, user.options)
  }
  for (const database of content.databases) {
    if (database.name === 'postgres') continue
    statements.push(`CREATE DATABASE ${identifier(database.name)} OWNER ${identifier(database.owner)}`)
  }
  return statements
}

function verifier(password: string): string {
  return scramVerifier({ password, salt: randomBytes(16), hashes: { sha256, hmacSha256, pbkdf2Sha256 } })
}

function identifier(name: string): string {
  if (name === '' || /[\0\r\n]/.test(name)) {
    throw new Fault('BOOTSTRAP_INVALID', `Cannot create "${name}": the name is empty or has a line break`)
  }
  return `"${name.replaceAll('"', '""')}"`
}
