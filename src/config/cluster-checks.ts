import { majorityOf, otherMembers, ownEntries } from './derive-defaults.ts'
import type { Key } from './key.ts'
import { clusterKeys, memberFields, membersKey } from './keys/cluster-keys.ts'
import { etcdHostsKey } from './keys/etcd-keys.ts'
import { type Problems, showPlace } from './problem.ts'
import type { RoleHint } from './node-config.ts'
import type { Settings } from './settings.ts'

const { nodeName, apiHost, apiPort, role } = memberFields

/** What the nodes of one cluster must agree on: names, addresses, roles, counts. */
export function checkCluster(settings: Settings, problems: Problems): void {
  checkNames(settings, problems)
  checkOwnEntry(settings, problems)
  checkAddresses(settings, problems)
  checkReach(settings, problems)
  checkRoles(settings, problems)
  checkCount(settings, problems)
  checkConsensus(settings, problems)
  checkPair(settings, problems)
}

function checkNames(settings: Settings, problems: Problems): void {
  const seen = new Map<string, Settings>()
  for (const member of settings.records(membersKey)) {
    const name = member.get(nodeName)
    if (name === undefined) continue
    const first = seen.get(name)
    if (first === undefined) seen.set(name, member)
    else {
      problems.error(member.placeOf(nodeName), member.prefix + nodeName.name, {
        value: name,
        rule: `two members are called "${name}"; the first stands at ${showPlace(first.placeOf(nodeName))}`,
        remedy: 'give every node a name of its own, or remove one of the two entries',
      })
    }
  }
}

/** One list for all nodes may name this node too, if it says the same as the rest of the file. */
function checkOwnEntry(settings: Settings, problems: Problems): void {
  const own = ownEntries(settings)[0]
  if (own === undefined) return
  const same = <T extends string | number>(mine: Key<T>, theirs: Key<T>): void => {
    const here = settings.get(mine)
    const there = own.get(theirs)
    if (!settings.isGiven(mine) || here === undefined || there === undefined || here === there) return
    if (!own.isGiven(theirs)) return
    problems.error(settings.placeOf(mine), mine.name, {
      value: String(here),
      rule: `this node's entry in cluster_members says ${theirs.name} ${String(there)} (${showPlace(own.placeOf(theirs))})`,
      remedy: `write the same value in both places, or leave ${mine.name} out: it is then taken from the list`,
    })
  }
  same(clusterKeys.apiPort, apiPort)
  same(clusterKeys.advertiseHost, apiHost)
  same(clusterKeys.dbRole, role)
}

function checkAddresses(settings: Settings, problems: Problems): void {
  const seen = new Map<string, string>()
  const ownHost = settings.get(clusterKeys.advertiseHost) ?? settings.need(clusterKeys.apiHost)
  if (!isWildcard(ownHost)) {
    seen.set(address(ownHost, settings.need(clusterKeys.apiPort)), 'this node itself (identity)')
  }
  for (const member of otherMembers(settings)) {
    const host = member.get(apiHost)
    if (host === undefined) continue
    const at = address(host, member.need(apiPort))
    const other = seen.get(at)
    const name = member.get(nodeName) ?? member.prefix.slice(0, -1)
    if (other === undefined) seen.set(at, `"${name}"`)
    else {
      problems.error(member.placeOf(apiHost), member.prefix + apiHost.name, {
        value: at,
        rule: `"${name}" has the same API address as ${other}`,
        remedy: 'give every node its own api_host, or its own api_port where nodes share a host',
      })
    }
  }
}

/** IPv6 addresses need brackets beside a port. */
function address(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

function checkReach(settings: Settings, problems: Problems): void {
  const others = otherMembers(settings).filter((member) => member.get(apiHost) !== undefined)
  const remote = others.filter(
    (member) => !isLoopback(member.need(apiHost)) && !isWildcard(member.need(apiHost)),
  )
  for (const member of settings.records(membersKey)) {
    const host = member.get(apiHost)
    if (host === undefined) continue
    if (isWildcard(host)) {
      problems.error(member.placeOf(apiHost), member.prefix + apiHost.name, {
        value: host,
        rule: 'this address means "every address of this host"; nobody can be reached at it',
        remedy: 'write the address at which the other nodes reach this member, e.g. 10.77.0.2',
      })
    } else if (isLoopback(host) && remote.length > 0) {
      problems.warning(member.placeOf(apiHost), member.prefix + apiHost.name, {
        value: host,
        rule: 'this address is only valid on its own host, while other members are on other hosts',
        remedy: 'write the address at which all the other nodes reach this member',
      })
    }
  }
  const own = settings.need(clusterKeys.apiHost)
  if (isLoopback(own) && remote.length > 0) {
    problems.warning(settings.placeOf(clusterKeys.apiHost), clusterKeys.apiHost.name, {
      value: own,
      rule: 'the API listens on this host alone, while members are on other hosts: they cannot reach this node',
      remedy: 'write 0.0.0.0, or the address of this host in the network of the nodes',
    })
  }
  const advertised = settings.get(clusterKeys.advertiseHost)
  if (advertised !== undefined && settings.isGiven(clusterKeys.advertiseHost) && isWildcard(advertised)) {
    problems.error(settings.placeOf(clusterKeys.advertiseHost), clusterKeys.advertiseHost.name, {
      value: advertised,
      rule: 'this address means "every address of this host"; nobody can be reached at it',
      remedy: 'write the address at which the other nodes reach this one, or remove the key',
    })
  }
}

export function isWildcard(host: string): boolean {
  return host === '0.0.0.0' || host === '::'
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host.startsWith('127.') || host === '::1'
}

type RoleAt = { readonly name: string; readonly settings: Settings; readonly key: Key<RoleHint> }

function checkRoles(settings: Settings, problems: Problems): void {
  const hints: RoleAt[] = [{ name: 'this node', settings, key: clusterKeys.dbRole }]
  for (const member of otherMembers(settings)) {
    hints.push({ name: `"${member.get(nodeName) ?? '?'}"`, settings: member, key: role })
  }
  checkWitnesses(settings, problems, hints)
  const primaries = hints.filter((hint) => hint.settings.get(hint.key) === 'primary')
  const second = primaries[1]
  if (second === undefined) return
  problems.error(second.settings.placeOf(second.key), second.settings.prefix + second.key.name, {
    value: 'primary',
    rule: `only one node can initialise the cluster, and ${primaries.map((hint) => hint.name).join(' and ')} are all marked as primary`,
    remedy: 'keep the role primary (master) at one node and write standby (slave) at the others',
  })
}

/**
 * A witness is the odd vote: a second one, or one beside an odd number of databases, would only be one more voter that can fail. Said and
 * not refused: the list is for the first start alone, and a cluster that has grown since starts with whatever stands there.
 */
function checkWitnesses(settings: Settings, problems: Problems, hints: readonly RoleAt[]): void {
  const witnesses = hints.filter((hint) => hint.settings.get(hint.key) === 'witness')
  const [first, second] = witnesses
  if (first === undefined) return
  const tell = (how: 'error' | 'warning', at: RoleAt, what: { rule: string; remedy: string }): void =>
    problems[how](at.settings.placeOf(at.key), at.settings.prefix + at.key.name, {
      value: 'witness',
      ...what,
    })
  const databases = hints.length - witnesses.length
  if (settings.list(etcdHostsKey).length > 0) {
    const rule = 'with etcd the members have no votes to give'
    tell('error', first, { rule, remedy: 'remove this node: etcd has its own' })
  } else if (second !== undefined) {
    const names = witnesses.map((hint) => hint.name).join(' and ')
    tell('warning', second, {
      rule: `${names} are all witnesses, and one is enough`,
      remedy: 'keep one witness',
    })
  } else if (databases % 2 !== 0 && databases > 1) {
    const rule = `${databases} nodes with a database have a majority without a witness, and one vote more would only make it larger`
    tell('warning', first, { rule, remedy: 'remove the witness' })
  }
}

function checkCount(settings: Settings, problems: Problems): void {
  // Who the members are is known in etcd alone.
  if (settings.list(etcdHostsKey).length > 0) return
  const nodes = otherMembers(settings).length + 1
  const place = settings.placeOf(membersKey)
  if (nodes === 1) {
    problems.warning(place, membersKey.name, {
      code: 'ONE_NODE',
      rule: 'the cluster has one node: when it fails, nothing takes over',
      remedy: 'list the other nodes under cluster_members; three make automatic failover possible',
    })
  }
  if (nodes === 2) {
    problems.warning(place, membersKey.name, {
      code: 'TWO_NODES',
      rule: 'the cluster has two nodes: when one is silent the other cannot know whether it is dead or cut off, so nothing takes over by itself',
      remedy: 'add a third node; a witness (role: witness) votes and needs no database',
    })
  }
}

function checkConsensus(settings: Settings, problems: Problems): void {
  const key = clusterKeys.minConsensus
  if (!settings.isGiven(key) || settings.list(etcdHostsKey).length > 0) return
  const wanted = settings.need(key)
  const nodes = otherMembers(settings).length + 1
  const majority = majorityOf(nodes)
  const place = settings.placeOf(key)
  const value = String(wanted)
  if (wanted > nodes) {
    problems.error(place, key.name, {
      value,
      rule: `${wanted} nodes can never agree: the cluster has ${nodes} (this one and ${nodes - 1} under cluster_members)`,
      remedy: `write ${majority}, a majority of ${nodes}, or remove the key`,
    })
    return
  }
  // A pair is told about itself by TWO_NODES; older files write 1 there.
  if (nodes <= 2 || wanted === majority) return
  if (wanted < majority) {
    problems.error(place, key.name, {
      value,
      rule: `${wanted} of ${nodes} nodes is no majority: two groups that cannot see each other could both elect a primary and the data would split`,
      remedy: `write ${majority}, a majority of ${nodes}, or remove the key`,
    })
    return
  }
  settings.derive(key, majority, `majority of ${nodes}`)
  problems.warning(place, key.name, {
    value,
    rule: `consensus always uses a majority, ${majority} of ${nodes}; a larger number would only make failover impossible earlier and is not used`,
    remedy: `write ${majority}, or remove the key`,
  })
}

function checkPair(settings: Settings, problems: Problems): void {
  const key = clusterKeys.pairEnable
  const nodes = otherMembers(settings).length + 1
  if (nodes === 2 || !settings.need(key)) return
  const place = settings.placeOf(key)
  settings.derive(key, false, `${nodes} nodes`)
  problems.warning(place, key.name, {
    value: 'true',
    rule: `pair mode is for exactly two nodes and this cluster has ${nodes}: it is ignored, a majority decides about failover`,
    remedy: 'remove pair_mode, or write "enable: false"',
  })
}
