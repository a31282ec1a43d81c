import { sha256Hex } from '../platform/hash.ts'

/**
 * How the first consensus group is founded (safety.md 28): every configured member answers, is empty and carries the
 * same list. Each has a random nonce on disk; the group's id is made of all of them, so that whoever founds it founds
 * the same one, and a member that lost its disk afterwards cannot pass for the one that was there.
 */
export type GenesisHello = {
  readonly nonce: string
  /** Fingerprint of scope and member names. */
  readonly list: string
  /** No consensus log and no data directory. */
  readonly isEmpty: boolean
  /** The group that this node belongs to. */
  readonly group?: Genesis
}

export type Genesis = { readonly groupId: string; readonly nonces: Readonly<Record<string, string>> }

export type GenesisVerdict =
  | { readonly kind: 'found'; readonly genesis: Genesis }
  | { readonly kind: 'waits'; readonly why: string }
  | { readonly kind: 'refused'; readonly why: string }

export function listFingerprint(scope: string, members: readonly string[]): string {
  return sha256Hex(JSON.stringify([scope, members.toSorted()])).slice(0, 16)
}

/** What a node without a consensus log may do now. */
export function judgeGenesis(
  own: { readonly name: string; readonly hello: GenesisHello },
  members: readonly string[],
  hellos: ReadonlyMap<string, GenesisHello>,
): GenesisVerdict {
  const all = new Map([...hellos, [own.name, own.hello]])
  const others = members.filter((name) => name !== own.name)
  for (const name of others) {
    const hello = all.get(name)
    // Order: a group that is there counts before the lists do, which differ once members have come and gone.
    if (hello?.group) return joinFounded(own, name, hello.group)
    if (hello && hello.list !== own.hello.list) {
      return {
        kind: 'refused',
        why: `${name} has another scope or another list of members: make cluster_members and cluster.scope the same on all nodes`,
      }
    }
  }
  if (!own.hello.isEmpty) {
    return {
      kind: 'refused',
      why: 'the data directory is not empty but this node has no consensus log: move the data directory away, or restore the state folder that belongs to it',
    }
  }
  const silent = others.filter((name) => !all.has(name))
  if (silent.length > 0) {
    return {
      kind: 'waits',
      why: `waits for ${silent.join(', ')}: a new cluster begins when all members answer`,
    }
  }
  const full = others.filter((name) => !all.get(name)?.isEmpty)
  if (full.length > 0) {
    return {
      kind: 'waits',
      why: `${full.join(', ')} cannot begin a new cluster: its data directory is not empty`,
    }
  }
  const nonces = Object.fromEntries(members.toSorted().map((name) => [name, all.get(name)?.nonce ?? '']))
  return { kind: 'found', genesis: { groupId: sha256Hex(JSON.stringify(nonces)).slice(0, 32), nonces } }
}

/** Another member has founded the group already: with our nonce in it, it is ours too. */
function joinFounded(
  own: { readonly name: string; readonly hello: GenesisHello },
  from: string,
  group: Genesis,
): GenesisVerdict {
  if (group.nonces[own.name] === own.hello.nonce) return { kind: 'found', genesis: group }
  return {
    kind: 'refused',
    why: `${from} is in a cluster that knew another ${own.name}: this node lost its consensus log, and a voter without its log must not vote; ${howToReturn(own.name)}`,
  }
}

/** The way back for a node whose consensus log is lost: as a new member under its old name. */
export function howToReturn(name: string): string {
  return `restore its state folder, or on another node run "pg-metako member remove ${name}" and then "pg-metako member add ${name} --api-host ADDRESS", which prints what to run here`
}
