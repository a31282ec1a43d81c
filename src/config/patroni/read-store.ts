import type { Problems } from '../problem.ts'
import { treeAt } from '../tree-lookup.ts'
import type { MapTree, Tree } from '../yaml-tree.ts'
import { textsOf, type TreeBuilder } from './tree-builder.ts'

const REFUSED = ['consul', 'zookeeper', 'exhibitor', 'kubernetes', 'raft']

/** Where the state of the cluster lies: in an etcd, or with the nodes themselves where the file lists them. */
export function readStore(tree: MapTree, builder: TreeBuilder, problems: Problems): void {
  const section = ['etcd3', 'etcd'].find((name) => tree.entries.has(name))
  if (section === undefined) {
    if (tree.entries.has('cluster_members') || REFUSED.some((name) => tree.entries.has(name))) return
    problems.error(tree.place, '', {
      rule: 'nothing says where the state of the cluster lies: there is no section etcd3, and no list of the nodes',
      remedy:
        'add "etcd3:" with its hosts, or list the nodes under "cluster_members:" (node_name, api_host, api_port): consensus is built in',
    })
    return
  }
  const entry = tree.entries.get(section)
  const hosts = hostsIn(entry?.tree)
  if (entry && hosts.length > 0) {
    const items = hosts.map(({ text, place }): Tree => ({ kind: 'scalar', text, place }))
    const list: Tree = { kind: 'list', items, place: hosts[0]?.place ?? entry.tree.place }
    builder.put('etcd.hosts', { keyPlace: entry.keyPlace, tree: list })
  }
  if (entry && section === 'etcd') {
    problems.warning(entry.keyPlace, 'etcd', {
      rule: 'this section is for version 2 of the protocol of etcd, which is gone; the same etcd is asked by version 3',
      remedy: 'call the section etcd3; it must be an etcd 3.4 or later',
    })
  }
}

function hostsIn(section: Tree | undefined): ReturnType<typeof textsOf> {
  const given = ['hosts', 'host', 'url', 'proxy'].flatMap((name) => treeAt(section, name) ?? [])
  return given.length === 0 ? [] : textsOf(given[0] as Tree)
}
