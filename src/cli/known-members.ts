import type { NodeConfig } from '../config/node-config.ts'
import { MEMBERSHIP_NOTES_FILE, type MembershipNotes } from '../model/membership.ts'
import { join, readFileSync } from '../platform/disk.ts'

type Known = { readonly apiHost: string; readonly apiPort: number }

/**
 * Where the other members are: by the copy of the registry that the agent of this node keeps, since members come and go, and an etcd
 * has them alone; else by the config.
 */
export function knownMembers({ members, identity, paths }: NodeConfig): readonly Known[] {
  try {
    const notes = JSON.parse(
      readFileSync(join(paths.stateDir, MEMBERSHIP_NOTES_FILE), 'utf8'),
    ) as MembershipNotes
    const others = notes.nodes.filter(({ name }) => name !== identity.nodeName)
    return others.length > 0 ? others : members
  } catch {
    // It is not there yet, or not for this user to read.
    return members
  }
}
