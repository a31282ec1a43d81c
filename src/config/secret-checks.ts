import { isWitness } from './derive-defaults.ts'
import { environmentName } from './key.ts'
import { clusterKeys, membersKey } from './keys/cluster-keys.ts'
import { etcdHostsKey } from './keys/etcd-keys.ts'
import { postgresKeys } from './keys/postgres-keys.ts'
import type { Problems } from './problem.ts'
import type { Settings } from './settings.ts'

const SECRET_LENGTH_WANTED = 16
/** Passwords that stand in examples everywhere. */
const WELL_KNOWN = new Set([
  'password',
  'secure_password',
  'postgres',
  'secret',
  'changeme',
  'change-me',
  'admin',
  'postgres_password_change_me',
  'admin_password_change_me',
  'replicator_password',
  'replicator_password_change_me',
])

/** Secrets that everybody knows, that can be guessed, or that are missing. Says nothing of what they are. */
export function checkSecrets(settings: Settings, problems: Problems): void {
  for (const key of [clusterKeys.dbPassword, postgresKeys.replicationPassword]) {
    if (!WELL_KNOWN.has(settings.get(key) ?? '')) continue
    problems.warning(settings.placeOf(key), key.name, {
      rule: 'is a password that stands in examples; everybody knows it',
      remedy: 'choose one of your own (openssl rand -base64 24) before the first start',
    })
  }
  for (const key of [clusterKeys.clusterSecret, clusterKeys.apiToken]) {
    const secret = settings.get(key)
    if (secret === undefined) continue
    if (secret === '') {
      problems.error(settings.placeOf(key), key.name, {
        rule: 'is empty: everybody could pass for a node',
        remedy: 'write a random text (openssl rand -base64 24), or remove the key',
      })
    } else if (secret.length < SECRET_LENGTH_WANTED) {
      problems.warning(settings.placeOf(key), key.name, {
        rule: `has fewer than ${SECRET_LENGTH_WANTED} characters and can be guessed`,
        remedy: 'write a longer random text, e.g. from openssl rand -base64 24',
      })
    }
  }
  checkDatabasePassword(settings, problems)
  checkDerivedSecret(settings, problems)
}

function checkDatabasePassword(settings: Settings, problems: Problems): void {
  const key = clusterKeys.dbPassword
  if (isWitness(settings) || settings.get(key) !== undefined || settings.isWrong(key)) return
  problems.error(settings.placeOf(key), key.name, {
    rule: 'is missing: the agent needs the password of the superuser that it works as',
    remedy: `add "password: …" or "password_file: PATH" under local_db:, or set ${environmentName(key.name)}`,
  })
}

function checkDerivedSecret(settings: Settings, problems: Problems): void {
  if (settings.get(clusterKeys.clusterSecret) !== undefined || settings.isWrong(clusterKeys.clusterSecret))
    return
  const key = clusterKeys.clusterSecret
  const password = settings.get(clusterKeys.dbPassword)
  if (password === undefined && !isWitness(settings)) return
  if (password === undefined || password === '') {
    problems.error(settings.placeOf(clusterKeys.dbPassword), key.name, {
      rule: 'is missing, and without a database password it cannot be derived: the agents could not authenticate each other',
      remedy: 'add "cluster_secret: …" or "cluster_secret_file: PATH" under security:, the same on all nodes',
    })
    return
  }
  // Nobody to talk to, nothing to prove.
  if (settings.records(membersKey).length === 0 && settings.list(etcdHostsKey).length === 0) return
  problems.warning(settings.placeOf(clusterKeys.dbPassword), key.name, {
    code: 'CLUSTER_SECRET_DERIVED',
    rule: 'is not set: it is derived from local_db.password, so whoever knows that password can pass for a node',
    remedy: 'add "cluster_secret_file: PATH" under security:, the same secret on all nodes',
  })
}
