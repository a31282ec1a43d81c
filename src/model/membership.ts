/**
 * Who belongs to the cluster: the registry in the store, below `metako/`. The config files name the members of the first
 * start; from then on the registry counts (docs/adr/0015).
 */
export type RegisteredNode = {
  readonly name: string
  /** Where the others reach its agent. */
  readonly apiHost: string
  readonly apiPort: number
  /** Random id of its consensus log: the same name with another one is another member. Empty in groups from before there were any. */
  readonly incarnation: string
  /** RFC 3339: for people. */
  readonly since: string
}

/** One that was a member: it is told so when it comes back. Its address counts until consensus has let it go. */
export type RemovedNode = RegisteredNode & { readonly at: string }

/** The registry as it is known at one revision. */
export type Registry = {
  /** Of the newest change in it: a copy is never replaced by an older one. */
  readonly revision: number
  /** By name. */
  readonly nodes: readonly RegisteredNode[]
  readonly removed: readonly RemovedNode[]
}

/**
 * What a node keeps of it in its state folder, so that it finds the others before consensus answers. `join` writes the first
 * of a node that was invited.
 */
export type MembershipNotes = Registry & {
  /** This node was invited into a group, as a member with an empty log. */
  readonly joined?: { readonly groupId: string; readonly incarnation: string }
  /** This node was removed: it takes part in nothing until it joins again. */
  readonly left?: { readonly at: string }
}

/** Name of the file of these notes in the state folder. */
export const MEMBERSHIP_NOTES_FILE = 'members.json'

/** Somebody may join under this name: lies in the store and holds no secret. */
export type Invitation = {
  readonly id: string
  readonly name: string
  readonly apiHost: string
  readonly apiPort: number
  /** RFC 3339, on the clock of the agent that invited. */
  readonly expiresAt: string
  /** The incarnation that used it: it may ask again, nobody else may. */
  readonly usedBy?: string
}
