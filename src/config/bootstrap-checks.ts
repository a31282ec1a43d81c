import { clusterKeys } from './keys/cluster-keys.ts'
import { databaseFields, databasesKey, postgresKeys, userFields, usersKey } from './keys/postgres-keys.ts'
import type { Problems } from './problem.ts'
import type { Settings } from './settings.ts'

/** Roles and databases of the first bootstrap: each is created once, every owner exists. */
export function checkBootstrap(settings: Settings, problems: Problems): void {
  const superuser = settings.need(clusterKeys.dbUsername)
  const replicator = settings.need(postgresKeys.replicationUsername)
  if (superuser === replicator) {
    problems.error(
      settings.placeOf(postgresKeys.replicationUsername),
      postgresKeys.replicationUsername.name,
      {
        value: replicator,
        rule: 'is the superuser of local_db.username; standbys stream with a role that can do nothing else',
        remedy: 'choose another name, e.g. replicator',
      },
    )
  }
  const roles = new Map([
    [superuser, 'local_db.username'],
    [replicator, 'replication.username'],
  ])
  for (const user of settings.records(usersKey)) {
    const name = user.get(userFields.name)
    const taken = roles.get(name ?? '')
    if (name !== undefined && taken !== undefined) {
      problems.error(user.placeOf(userFields.name), user.prefix + userFields.name.name, {
        value: name,
        rule: `this role is created already, for ${taken}`,
        remedy: 'remove this entry, or choose another name',
      })
    }
    if (name !== undefined) roles.set(name, user.prefix.slice(0, -1))
  }
  const databases = new Set(['postgres', 'template0', 'template1'])
  for (const database of settings.records(databasesKey)) {
    const name = database.get(databaseFields.name)
    if (name !== undefined && databases.has(name)) {
      problems.error(database.placeOf(databaseFields.name), database.prefix + databaseFields.name.name, {
        value: name,
        rule: 'this database exists already, or is listed twice',
        remedy: 'remove this entry, or choose another name',
      })
    }
    if (name !== undefined) databases.add(name)
    const owner = database.get(databaseFields.owner)
    if (owner === undefined || roles.has(owner)) continue
    problems.error(database.placeOf(databaseFields.owner), database.prefix + databaseFields.owner.name, {
      value: owner,
      rule: `nobody creates the role "${owner}"`,
      remedy: 'add it under bootstrap.users, or name one of those roles',
    })
  }
}
