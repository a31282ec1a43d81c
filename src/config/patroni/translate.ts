import { parametersKey } from '../keys/postgres-keys.ts'
import type { Problems } from '../problem.ts'
import { textAt, treeAt } from '../tree-lookup.ts'
import type { Entry, MapTree, Tree } from '../yaml-tree.ts'
import { parseHostPort, type HostPort } from './host-port.ts'
import { CLUSTER_WIDE_PARAMETERS, OWN_SECTIONS, PATRONI_KEYS, type PatroniRule } from './patroni-keys.ts'
import { readStore } from './read-store.ts'
import { TreeBuilder, textsOf } from './tree-builder.ts'

/** What Patroni's own words for levels are here. */
const LEVELS: Readonly<Record<string, string>> = { critical: 'error', fatal: 'error', notset: 'debug' }
const LOG_FILE = 'patroni.log'

/**
 * A `patroni.yml` in our own words: every entry keeps its place, so whatever is wrong with it later is told where it stands.
 * Nothing of it is passed over silently: what does nothing here is said once, what would be missed is refused.
 */
export function translatePatroni(tree: MapTree, problems: Problems): MapTree {
  const builder = new TreeBuilder(tree.place)
  for (const [name, entry] of tree.entries) if (OWN_SECTIONS.has(name)) builder.putSection(name, entry)
  const translation = new Translation(tree, builder, problems)
  translation.walk(tree, '')
  translation.addresses()
  translation.parameters()
  translation.lists()
  translation.modes()
  translation.logging()
  readStore(tree, builder, problems)
  return builder.tree
}

class Translation {
  readonly #tree: MapTree
  readonly #builder: TreeBuilder
  readonly #problems: Problems

  constructor(tree: MapTree, builder: TreeBuilder, problems: Problems) {
    this.#tree = tree
    this.#builder = builder
    this.#problems = problems
  }

  /** Every key by its rule; one that nobody knows is told. */
  walk(tree: MapTree, prefix: string): void {
    for (const [word, entry] of tree.entries) {
      const name = prefix + word
      if (prefix === '' && OWN_SECTIONS.has(word)) continue
      const isSection = Object.keys(PATRONI_KEYS).some((known) => known.startsWith(`${name}.`))
      if (isSection && entry.tree.kind === 'map') this.walk(entry.tree, `${name}.`)
      else if (!isEmpty(entry.tree)) this.#apply(name, entry, ruleOf(name))
    }
  }

  #apply(name: string, entry: Entry, rule: PatroniRule | undefined): void {
    const { keyPlace, tree } = entry
    const written = tree.kind === 'scalar' ? (tree.text ?? '') : undefined
    switch (rule?.kind) {
      case undefined:
        return this.#problems.warning(keyPlace, name, {
          rule: 'Patroni has no such key; it is not used',
          remedy: 'correct its name, or remove it',
        })
      case 'as':
        return this.#builder.put(rule.key, entry)
      case 'read':
        return
      case 'idle':
        if (written !== undefined && rule.unless?.test(written)) return
        return this.#problems.warning(keyPlace, name, {
          rule: `does nothing here: ${rule.why}`,
          remedy: 'leave it where Patroni reads this file too, else remove it',
        })
      case 'absent':
        if (written !== undefined && rule.unless?.test(written)) return
        return this.#problems.error(keyPlace, name, { rule: rule.rule, remedy: rule.remedy })
    }
  }

  /** One address of this node for all that others reach here. */
  addresses(): void {
    const api = this.#hostPort('restapi.listen')
    const database = this.#hostPort('postgresql.listen')
    const reachApi = this.#hostPort('restapi.connect_address')
    const reachDatabase = this.#hostPort('postgresql.connect_address')
    if (api) this.#builder.putText('identity.api_host', api.host, api.place)
    if (api?.port) this.#builder.putText('identity.api_port', api.port, api.place)
    if (database) this.#databaseAddress(database)
    const reach = reachApi ?? reachDatabase
    if (reach) this.#builder.putText('identity.advertise_host', reach.host, reach.place)
    this.#samePort(api, reachApi, 'restapi')
    this.#samePort(database, reachDatabase, 'postgresql')
    if (reachApi && reachDatabase && reachApi.host !== reachDatabase.host) {
      this.#problems.error(reachDatabase.place, 'postgresql.connect_address', {
        value: reachDatabase.host,
        rule: `is another host than ${reachApi.host} in restapi.connect_address: a node has one address for both`,
        remedy: 'write the same host in both',
      })
    }
  }

  #databaseAddress({ host, port, place }: HostPort): void {
    const hosts = host.split(',').map((one) => one.trim())
    const items = hosts.map((text): Tree => ({ kind: 'scalar', text, place }))
    this.#builder.put('postgresql.listen_addresses', {
      keyPlace: place,
      tree: { kind: 'list', items, place },
    })
    if (port !== undefined) this.#builder.putText('local_db.port', port, place)
    const isHere = hosts.some((one) => ['*', '0.0.0.0', '::', 'localhost', '127.0.0.1'].includes(one))
    if (!isHere && hosts[0]) this.#builder.putText('local_db.host', hosts[0], place)
  }

  #samePort(listen: HostPort | undefined, reach: HostPort | undefined, section: string): void {
    if (listen?.port === undefined || reach?.port === undefined || listen.port === reach.port) return
    this.#problems.error(reach.place, `${section}.connect_address`, {
      value: reach.port,
      rule: `is another port than ${listen.port} in ${section}.listen: ports are not translated on the way`,
      remedy: 'write the same port in both',
    })
  }

  #hostPort(key: string): HostPort | undefined {
    const tree = treeAt(this.#tree, ...key.split('.'))
    if (tree?.kind !== 'scalar' || !tree.text) return undefined
    const found = parseHostPort(tree.text)
    if (found) return { ...found, place: tree.place }
    this.#problems.error(tree.place, key, {
      value: tree.text,
      rule: 'is not an address with a port',
      remedy: 'write HOST:PORT, e.g. 10.0.0.1:8008',
    })
    return undefined
  }

  /** What the file says itself goes before what all members begin with; some settings are for all members alike. */
  parameters(): void {
    const shared = entriesAt(this.#tree, 'bootstrap', 'dcs', 'postgresql', 'parameters')
    const own = entriesAt(this.#tree, 'postgresql', 'parameters').filter(([name, { keyPlace }]) => {
      if (!CLUSTER_WIDE_PARAMETERS.has(name)) return true
      this.#problems.warning(keyPlace, `postgresql.parameters.${name}`, {
        rule: 'all members must agree on this setting: as with Patroni it counts under bootstrap.dcs alone',
        remedy: 'write it under bootstrap.dcs.postgresql.parameters',
      })
      return false
    })
    const kept = [...new Map([...shared, ...own])].filter(([name, { keyPlace, tree }]) => {
      const text = tree.kind === 'scalar' ? (tree.text ?? '') : ''
      const wrong = parametersKey.check(name, text)
      if (wrong === undefined) return true
      if (name !== 'hot_standby' || !/^(on|true|yes|1)$/i.test(text)) {
        this.#problems.warning(keyPlace, `postgresql.parameters.${name}`, {
          rule: `does nothing here: ${wrong.rule}`,
          remedy: wrong.remedy,
        })
      }
      return false
    })
    if (kept.length === 0) return
    const { place } = this.#tree
    this.#builder.put('postgresql.parameters', {
      keyPlace: kept[0]?.[1].keyPlace ?? place,
      tree: { kind: 'map', entries: new Map(kept), place: kept[0]?.[1].keyPlace ?? place },
    })
  }

  lists(): void {
    const hba =
      entryAt(this.#tree, 'postgresql', 'pg_hba') ??
      entryAt(this.#tree, 'bootstrap', 'dcs', 'postgresql', 'pg_hba') ??
      entryAt(this.#tree, 'bootstrap', 'pg_hba')
    if (hba) this.#builder.put('postgresql.pg_hba', hba)
    const initdb = entryAt(this.#tree, 'bootstrap', 'initdb')
    if (initdb) this.#builder.put('bootstrap.initdb', initdb)
    this.#users()
    const methods = entryAt(this.#tree, 'postgresql', 'create_replica_methods')
    const others = methods ? textsOf(methods.tree).filter(({ text }) => text !== 'basebackup') : []
    if (!methods || others.length === 0) return
    this.#problems.warning(methods.keyPlace, 'postgresql.create_replica_methods', {
      rule: `does nothing here: a standby is cloned by BASE_BACKUP, not by ${others.map(({ text }) => text).join(', ')}`,
      remedy: 'leave it where Patroni reads this file too, else remove it',
    })
  }

  /** The roles that pg-metako creates anyway are taken out: they have their passwords from `authentication`. */
  #users(): void {
    const users = entryAt(this.#tree, 'bootstrap', 'users')
    if (users?.tree.kind !== 'map') return
    const login = (role: string) => textAt(this.#tree, 'postgresql', 'authentication', role, 'username')
    const made = [login('superuser') ?? 'postgres', login('replication') ?? 'replicator']
    const entries = new Map([...users.tree.entries].filter(([name]) => !made.includes(name)))
    if (entries.size > 0) this.#builder.put('bootstrap.users', { ...users, tree: { ...users.tree, entries } })
  }

  modes(): void {
    const mode = treeAt(this.#tree, 'bootstrap', 'dcs', 'synchronous_mode')
    if (mode?.kind === 'scalar' && mode.text) {
      const word = mode.text.toLowerCase()
      const text = /^(on|true|yes|1)$/.test(word) ? 'sync' : /^(off|false|no|0)$/.test(word) ? 'async' : word
      this.#builder.putText('replication.mode', text, mode.place)
    }
    const certificate = treeAt(this.#tree, 'restapi', 'certfile')
    if (certificate && !isEmpty(certificate))
      this.#builder.putText('security.tls_enabled', 'true', certificate.place)
    const margin = treeAt(this.#tree, 'watchdog', 'safety_margin')
    if (margin?.kind !== 'scalar' || !margin.text) return
    const ttl = Number(textAt(this.#tree, 'bootstrap', 'dcs', 'ttl') ?? 30)
    // Patroni's word for half of the ttl.
    const text = margin.text === '-1' ? String(ttl / 2) : margin.text
    this.#builder.putText('watchdog.safety_margin', text, margin.place)
  }

  logging(): void {
    const level = treeAt(this.#tree, 'log', 'level')
    if (level?.kind === 'scalar' && level.text) {
      const word = level.text.toLowerCase()
      this.#builder.putText('logging.level', LEVELS[word] ?? word, level.place)
    }
    const dir = treeAt(this.#tree, 'log', 'dir')
    if (dir?.kind === 'scalar' && dir.text)
      this.#builder.putText('logging.file', `${dir.text.replace(/\/+$/, '')}/${LOG_FILE}`, dir.place)
  }
}

/** The rule of the key, else of the section that it stands in. */
function ruleOf(name: string): PatroniRule | undefined {
  for (let at = name; at !== ''; at = at.slice(0, Math.max(0, at.lastIndexOf('.')))) {
    if (Object.hasOwn(PATRONI_KEYS, at)) return PATRONI_KEYS[at]
  }
  return undefined
}

function isEmpty(tree: Tree): boolean {
  if (tree.kind === 'scalar') return tree.text === undefined || tree.text === ''
  return tree.kind === 'list' ? tree.items.length === 0 : tree.entries.size === 0
}

function entryAt(tree: Tree, ...path: readonly string[]): Entry | undefined {
  const above = treeAt(tree, ...path.slice(0, -1))
  const entry = above?.kind === 'map' ? above.entries.get(path.at(-1) ?? '') : undefined
  return entry && !isEmpty(entry.tree) ? entry : undefined
}

function entriesAt(tree: Tree, ...path: readonly string[]): readonly (readonly [string, Entry])[] {
  const found = treeAt(tree, ...path)
  return found?.kind === 'map' ? [...found.entries] : []
}
