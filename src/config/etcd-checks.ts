import { otherMembers } from './derive-defaults.ts'
import type { Key } from './key.ts'
import { membersKey } from './keys/cluster-keys.ts'
import { etcdHostsKey, etcdKeys } from './keys/etcd-keys.ts'
import type { Problems } from './problem.ts'
import type { Settings } from './settings.ts'

const PORT_DEFAULT = '2379'

/** URLs of all members of etcd; empty where consensus is built in, or where none of them can be read. */
export function etcdEndpoints(settings: Settings): readonly string[] {
  return settings.list(etcdHostsKey).flatMap((host) => endpointOf(settings, host) ?? [])
}

/** The state of the cluster lies in one place alone, and that one can be reached. */
export function checkEtcd(
  settings: Settings,
  problems: Problems,
  fileExists: ((path: string) => boolean) | undefined,
): void {
  const hosts = settings.list(etcdHostsKey)
  const place = settings.placeOf(etcdHostsKey)
  if (hosts.length === 0) {
    const given = Object.values(etcdKeys).find((key) => settings.isGiven(key))
    if (given === undefined) return
    problems.error(settings.placeOf(given), etcdHostsKey.name, {
      rule: 'is missing: nobody knows which etcd is meant',
      remedy: 'add "hosts: host1:2379,host2:2379,host3:2379" under etcd:, or remove the section',
    })
    return
  }
  for (const host of hosts) {
    if (endpointOf(settings, host) !== undefined) continue
    problems.error(place, etcdHostsKey.name, {
      value: host,
      rule: 'is not the address of an etcd',
      remedy: 'write host:2379 or http://host:2379, without a path',
    })
  }
  if (otherMembers(settings).length > 0) {
    problems.error(settings.placeOf(membersKey), membersKey.name, {
      rule: 'the members register in etcd, and are named here too: two lists that may differ',
      remedy:
        'remove cluster_members where etcd keeps the state of the cluster; or remove the section etcd: consensus is built in',
    })
  }
  checkFiles(settings, problems, fileExists)
  checkPair(settings, problems, [etcdKeys.certFile, etcdKeys.keyFile])
  checkPair(settings, problems, [etcdKeys.username, etcdKeys.password])
}

function checkFiles(
  settings: Settings,
  problems: Problems,
  fileExists: ((path: string) => boolean) | undefined,
): void {
  for (const key of [etcdKeys.caFile, etcdKeys.certFile, etcdKeys.keyFile]) {
    const file = settings.get(key)
    if (file === undefined || fileExists === undefined || fileExists(file)) continue
    problems.error(settings.placeOf(key), key.name, {
      value: file,
      rule: 'there is no such file',
      remedy: 'write the path of the PEM file that etcd wants',
    })
  }
}

/** One is of no use without the other. */
function checkPair(settings: Settings, problems: Problems, pair: readonly [Key<string>, Key<string>]): void {
  const [given, absent] = settings.isGiven(pair[0]) ? pair : [pair[1], pair[0]]
  if (!settings.isGiven(given) || settings.isGiven(absent) || settings.isWrong(absent)) return
  problems.error(settings.placeOf(given), absent.name, {
    rule: `is missing: ${given.name} is of no use without it`,
    remedy: `add "${absent.name.slice('etcd.'.length)}: …" under etcd:, or remove ${given.name}`,
  })
}

function endpointOf(settings: Settings, written: string): string | undefined {
  const text = /^https?:\/\//.test(written)
    ? written
    : `${settings.get(etcdKeys.protocol) ?? 'http'}://${written}`
  if (!URL.canParse(text)) return undefined
  const url = new URL(text)
  const isBare = url.pathname === '/' && url.search === '' && url.hash === '' && url.username === ''
  if (!isBare || url.hostname === '') return undefined
  // URL drops a port that is the scheme's own, and etcd's own is neither.
  const hasPort = /:\d+\/?$/.test(text)
  const port =
    url.port === '' ? (hasPort ? (url.protocol === 'https:' ? '443' : '80') : PORT_DEFAULT) : url.port
  return `${url.protocol}//${url.hostname}:${port}`
}
