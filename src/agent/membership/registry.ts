import type { Keys } from '../../ha/keys.ts'
import type { Store } from '../../ha/ports.ts'
import type { KeyValue, Operation } from '../../model/key-value.ts'
import type { RegisteredNode, Registry, RemovedNode } from '../../model/membership.ts'

/** Tombstones that are kept: enough to tell everybody who may still come back, bounded as everything in the store. */
const REMOVED_MAX = 32

/** The registry as this node has applied it; `undefined` until it was begun. */
export function readRegistry(
  store: Pick<Store, 'peek' | 'peekPrefix'>,
  keys: Pick<Keys, 'membership' | 'nodes' | 'removedNodes'>,
): Registry | undefined {
  const begun = store.peek(keys.membership)
  if (!begun) return undefined
  const nodes = store.peekPrefix(keys.nodes)
  const removed = store.peekPrefix(keys.removedNodes)
  return {
    revision: Math.max(...[begun, ...nodes, ...removed].map(({ modRevision }) => modRevision)),
    nodes: nodes
      .flatMap((entry) => parseNode(entry) ?? [])
      .toSorted((one, other) => (one.name < other.name ? -1 : 1)),
    removed: removed.flatMap((entry) => parseRemoved(entry) ?? []),
  }
}

/** All members of the first start at once: a registry with some of them would tell the others that they are none. */
export function beginOperations(keys: Keys, nodes: readonly RegisteredNode[]): readonly Operation[] {
  return [
    { kind: 'put', key: keys.membership, value: JSON.stringify({ nodes: nodes.map(({ name }) => name) }) },
    ...nodes.map((node) => putNode(keys, node)),
  ]
}

export function putNode(keys: Keys, node: RegisteredNode): Operation {
  return { kind: 'put', key: keys.node(node.name), value: JSON.stringify(node) }
}

/** Takes a node out and remembers that it was there. Its address for Patroni's tools goes too. */
export function removeOperations(keys: Keys, registry: Registry, removed: RemovedNode): readonly Operation[] {
  const oldest = registry.removed
    .toSorted((one, other) => (one.at < other.at ? -1 : 1))
    .slice(0, Math.max(0, registry.removed.length + 1 - REMOVED_MAX))
  return [
    { kind: 'delete', key: keys.node(removed.name) },
    { kind: 'delete', key: keys.member(removed.name) },
    {
      kind: 'put',
      key: keys.removedNode(removed.name, removed.incarnation),
      value: JSON.stringify(removed),
    },
    ...oldest.map(({ name, incarnation }): Operation => ({
      kind: 'delete',
      key: keys.removedNode(name, incarnation),
    })),
  ]
}

export type Identity = { readonly name: string; readonly incarnation: string }

export function isSameIdentity(one: Identity, other: Identity): boolean {
  return one.name === other.name && one.incarnation === other.incarnation
}

/** The registry as one member tells another. */
export function toldRegistry(groupId: string, { revision, nodes, removed }: Registry): string {
  return JSON.stringify({ groupId, revision, nodes, removed })
}

/** What a member of this group told; `undefined` for what is no registry of it. */
export function heardRegistry(groupId: string, text: string): Registry | undefined {
  const told = parsed(text)
  const { revision, nodes, removed } = told
  if (told['groupId'] !== groupId || !Number.isSafeInteger(revision)) return undefined
  return {
    revision: revision as number,
    nodes: objectsIn(nodes).flatMap((node) => nodeIn(node) ?? []),
    removed: objectsIn(removed).flatMap((node) => removedIn(node) ?? []),
  }
}

/** When this identity was removed; `undefined` for one that is a member, or never was one. */
export function removalOf(registry: Registry, who: Identity): RemovedNode | undefined {
  if (registry.nodes.some((node) => isSameIdentity(node, who))) return undefined
  return registry.removed.find((one) => isSameIdentity(one, who))
}

/** What the config says otherwise than the registry, in words; `undefined` where they agree. */
export function differenceInWords(
  configured: readonly { readonly name: string; readonly apiHost: string; readonly apiPort: number }[],
  registry: Registry,
): string | undefined {
  const only = (names: readonly string[], others: readonly string[]): readonly string[] =>
    names.filter((name) => !others.includes(name))
  const inConfig = configured.map(({ name }) => name)
  const inRegistry = registry.nodes.map(({ name }) => name)
  const parts = [
    ['only in the configuration', only(inConfig, inRegistry)],
    ['only in the registry', only(inRegistry, inConfig)],
    ['at another address', configured.filter((node) => isElsewhere(node, registry)).map(({ name }) => name)],
  ] as const
  const words = parts
    .filter(([, names]) => names.length > 0)
    .map(([where, names]) => `${where}: ${names.join(', ')}`)
  return words.length === 0 ? undefined : words.join('; ')
}

function isElsewhere(
  configured: { readonly name: string; readonly apiHost: string; readonly apiPort: number },
  registry: Registry,
): boolean {
  const node = registry.nodes.find(({ name }) => name === configured.name)
  return node !== undefined && (node.apiHost !== configured.apiHost || node.apiPort !== configured.apiPort)
}

/** What others wrote there must not stop an agent: an entry that is none is none. */
function parseNode({ value }: KeyValue): RegisteredNode | undefined {
  return nodeIn(parsed(value))
}

function parseRemoved({ value }: KeyValue): RemovedNode | undefined {
  return removedIn(parsed(value))
}

function nodeIn(told: Told): RegisteredNode | undefined {
  const { name, apiHost, apiPort, incarnation, since } = told
  if (typeof name !== 'string' || typeof apiHost !== 'string' || typeof apiPort !== 'number') return undefined
  if (typeof incarnation !== 'string') return undefined
  return { name, apiHost, apiPort, incarnation, since: typeof since === 'string' ? since : '' }
}

function removedIn(told: Told): RemovedNode | undefined {
  const node = nodeIn(told)
  const { at } = told
  return node && typeof at === 'string' ? { ...node, at } : undefined
}

type Told = Readonly<Record<string, unknown>>

function objectsIn(list: unknown): readonly Told[] {
  return Array.isArray(list) ? list.filter((one) => typeof one === 'object' && one !== null) : []
}

function parsed(text: string): Told {
  try {
    return objectsIn([JSON.parse(text)])[0] ?? {}
  } catch {
    return {}
  }
}
