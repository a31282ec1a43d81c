import { accessSync, constants, readFileSync, statSync, type Stats } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { Fault } from '../std/fault.ts'

/** An operating system user that PostgreSQL may run as. */
export type OsUser = {
  readonly name: string
  readonly uid: number
  readonly gid: number
  readonly home: string
}

const PASSWD = '/etc/passwd'

/**
 * Who PostgreSQL must run as, since it refuses to run as root. `undefined`: this process is not root, run it as ourselves.
 * As root: the owner of the data directory, else the configured user, else `postgres`, else `nobody`.
 * Throws `OS_USER_UNKNOWN` when none of them exists.
 */
export function findDatabaseUser(options: {
  dataDir?: string | undefined
  configured?: string | undefined
}): OsUser | undefined {
  if (process.geteuid?.() !== 0) return undefined
  return chooseDatabaseUser({
    users: parsePasswd(readFileSync(PASSWD, 'utf8')),
    ownerOfData: options.dataDir === undefined ? undefined : statOf(options.dataDir),
    configured: options.configured,
  })
}

/** The choice itself, for a given list of users. */
export function chooseDatabaseUser(options: {
  users: readonly OsUser[]
  ownerOfData: { readonly uid: number; readonly gid: number } | undefined
  configured: string | undefined
}): OsUser {
  const { users, ownerOfData, configured } = options
  if (ownerOfData && ownerOfData.uid !== 0) {
    const { uid, gid } = ownerOfData
    return users.find((user) => user.uid === uid) ?? { name: String(uid), uid, gid, home: '/' }
  }
  if (configured !== undefined) {
    const user = users.find((candidate) => candidate.name === configured)
    if (user && user.uid !== 0) return user
    throw new Fault(
      'OS_USER_UNKNOWN',
      `Cannot run PostgreSQL as "${configured}": ${user ? 'that is root' : `no such user in ${PASSWD}`}, wanted an unprivileged user`,
      { details: { user: configured } },
    )
  }
  for (const name of ['postgres', 'nobody']) {
    const user = users.find((candidate) => candidate.name === name && candidate.uid !== 0)
    if (user) return user
  }
  throw new Fault(
    'OS_USER_UNKNOWN',
    `Cannot run PostgreSQL as root: ${PASSWD} has neither "postgres" nor "nobody", name a user in postgresql.os_user`,
  )
}

/** Reads the format of /etc/passwd; lines that are not of it are left out. */
export function parsePasswd(text: string): readonly OsUser[] {
  const users: OsUser[] = []
  for (const line of text.split('\n')) {
    const [name, , uid, gid, , home] = line.split(':')
    if (!name || !/^\d+$/.test(uid ?? '') || !/^\d+$/.test(gid ?? '')) continue
    users.push({ name, uid: Number(uid), gid: Number(gid), home: home || '/' })
  }
  return users
}

/**
 * Whether `user` can walk into `folder`: it and each of its parents has the execute bit for them. Folders that do not exist
 * yet are left out. Supplementary groups do not count, since a child that we start under another user has none.
 * Without a user: whether we can.
 */
export function canEnter(folder: string, user: OsUser | undefined): boolean {
  let path = resolve(folder)
  for (;;) {
    if (!isEnterable(path, user)) return false
    const parent = dirname(path)
    if (parent === path) return true
    path = parent
  }
}

function isEnterable(path: string, user: OsUser | undefined): boolean {
  const stat = statOf(path)
  if (!stat) return true
  if (!user) {
    try {
      accessSync(path, constants.X_OK)
      return true
    } catch {
      return false
    }
  }
  if (user.uid === 0) return true
  const bits = stat.uid === user.uid ? stat.mode >> 6 : stat.gid === user.gid ? stat.mode >> 3 : stat.mode
  return (bits & 1) === 1
}

/** `undefined` only for what does not exist; a folder that we may not look into throws nothing and is found below. */
function statOf(path: string): Stats | undefined {
  try {
    return statSync(path)
  } catch {
    return undefined
  }
}
