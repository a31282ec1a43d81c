import type { JoinDocument } from '#client'
import type { InviteOrder, InviteOutcome, JoinOrder, JoinOutcome, MemberRefused } from '../../api/ports.ts'
import type { Keys } from '../../ha/keys.ts'
import type { Clock, Store } from '../../ha/ports.ts'
import {
  invitationContext,
  joinAnswerContext,
  joinProofContext,
  joinTokenText,
} from '../../model/join-token.ts'
import type { KeyValue, Operation } from '../../model/key-value.ts'
import type { Invitation, Registry } from '../../model/membership.ts'
import { hmacSha256, seal, secretsEqual } from '../../platform/hash.ts'
import { HOUR, SECOND } from '../../std/units.ts'
import { refused } from '../refused.ts'
import { putNode, readRegistry } from './registry.ts'

const VALID_MS = HOUR
const WRITE_MS = 3 * SECOND
/** Each try begins with what is there now; more than two at the same time are more than people do. */
const TRIES = 4
const ID_BYTES = 8
const NONCE_BYTES = 16

export type InvitationDeps = {
  readonly clock: Clock
  readonly store: Store
  readonly keys: Keys
  readonly clusterSecret: string
  readonly randomHex: (bytes: number) => string
  /** Addresses of agents that can be asked now. */
  readonly urls: () => readonly string[]
  readonly document: (name: string, registry: Registry) => JoinDocument
}

/**
 * Invites a node. The invitation in the store holds no secret: the token's is derived from the cluster secret and the
 * invitation's id, so that every agent can check it and nobody who reads the store can use it.
 */
export async function invite(deps: InvitationDeps, order: InviteOrder): Promise<InviteOutcome> {
  const { clock, store, keys } = deps
  const { name, apiHost, apiPort } = order
  for (let attempt = 0; attempt < TRIES; attempt += 1) {
    const refusal = await refuseInvitation(deps, order)
    if (refusal) return refusal
    const id = deps.randomHex(ID_BYTES)
    const expiresAt = new Date(clock.wall() + VALID_MS).toISOString()
    const invitation: Invitation = { id, name, apiHost, apiPort, expiresAt }
    const { succeeded } = await store.transact(
      {
        compares: [{ kind: 'mod', key: keys.node(name), revision: 0 }],
        operations: [
          ...outdated(deps, name),
          { kind: 'put', key: keys.invitation(id), value: JSON.stringify(invitation) },
        ],
      },
      { deadlineMs: WRITE_MS },
    )
    if (!succeeded) continue
    const token = joinTokenText({ invitation: id, secret: secretOf(deps, invitation) })
    return { kind: 'done', name, token, expiresAt, urls: deps.urls() }
  }
  return { kind: 'refused', reason: 'BUSY', message: `Others change "${name}" at the same time` }
}

async function refuseInvitation(
  { store, keys }: InvitationDeps,
  { name, apiHost, apiPort }: InviteOrder,
): Promise<MemberRefused | undefined> {
  await store.read(keys.nodes, { deadlineMs: WRITE_MS })
  const registry = readRegistry(store, keys)
  if (!registry) {
    return refused('NOT_READY', 'The registry of members was not begun yet: wait until all nodes answer')
  }
  const same = registry.nodes.find((node) => node.name === name)
  if (same) {
    return refused(
      'EXISTS',
      `"${name}" is a member since ${same.since}`,
      `If its state folder is lost, first: pg-metako member remove ${name}`,
    )
  }
  const there = registry.nodes.find((node) => node.apiHost === apiHost && node.apiPort === apiPort)
  if (there) return refused('EXISTS', `${apiHost}:${apiPort} is the address of the member "${there.name}"`)
  return undefined
}

/** What has expired, and earlier invitations under the name: one at a time is enough. */
function outdated({ clock, store, keys }: InvitationDeps, name: string): readonly Operation[] {
  return store
    .peekPrefix(keys.invitations)
    .filter((entry) => {
      const known = parseInvitation(entry)
      return !known || known.name === name || Date.parse(known.expiresAt) <= clock.wall()
    })
    .map(({ key }) => ({ kind: 'delete', key }))
}

/**
 * Takes an invited node in: it is a member of the registry from here on, and whoever leads consensus makes it a voter. One
 * invitation is for one new log: the same one may ask again, since an answer can get lost.
 */
export async function acceptJoin(deps: InvitationDeps, order: JoinOrder): Promise<JoinOutcome> {
  const { clock, store, keys } = deps
  for (let attempt = 0; attempt < TRIES; attempt += 1) {
    // Order: with a quorum first; whoever is cut off would honour an invitation that was used elsewhere.
    await store.read(keys.invitation(order.invitation), { deadlineMs: WRITE_MS })
    const entry = store.peek(keys.invitation(order.invitation))
    const invitation = entry && parseInvitation(entry)
    if (!entry || !invitation || !isProven(deps, invitation, order)) return { kind: 'not-invited' }
    const registry = readRegistry(store, keys)
    if (!registry) return refused('NOT_READY', 'The registry of members was not begun yet')
    const known = registry.nodes.find(({ name }) => name === invitation.name)
    if (known?.incarnation === order.incarnation) return answer(deps, { order, invitation, registry })
    if (invitation.usedBy !== undefined || known) return { kind: 'used' }
    if (Date.parse(invitation.expiresAt) <= clock.wall()) return { kind: 'expired' }
    await store.transact(
      {
        compares: [
          { kind: 'mod', key: entry.key, revision: entry.modRevision },
          { kind: 'mod', key: keys.node(invitation.name), revision: 0 },
        ],
        operations: [
          {
            kind: 'put',
            key: entry.key,
            value: JSON.stringify({ ...invitation, usedBy: order.incarnation }),
          },
          putNode(keys, {
            name: invitation.name,
            apiHost: invitation.apiHost,
            apiPort: invitation.apiPort,
            incarnation: order.incarnation,
            since: new Date(clock.wall()).toISOString(),
          }),
        ],
      },
      { deadlineMs: WRITE_MS },
    )
  }
  return refused('BUSY', 'Others change the members at the same time')
}

function isProven(deps: InvitationDeps, invitation: Invitation, order: JoinOrder): boolean {
  const expected = hmacSha256(secretOf(deps, invitation), joinProofContext(order)).toString('hex')
  return secretsEqual(expected, order.proof)
}

function answer(
  deps: InvitationDeps,
  about: { readonly order: JoinOrder; readonly invitation: Invitation; readonly registry: Registry },
): JoinOutcome {
  const { order, invitation, registry } = about
  const nonce = deps.randomHex(NONCE_BYTES)
  const document = deps.document(invitation.name, registry)
  const context = joinAnswerContext(order, nonce)
  const sealed = seal(secretOf(deps, invitation), context, JSON.stringify(document))
  return { kind: 'done', name: invitation.name, nonce, sealed }
}

function secretOf({ clusterSecret }: InvitationDeps, { id, name }: Invitation): string {
  return hmacSha256(clusterSecret, invitationContext(id, name)).toString('base64url')
}

export function parseInvitation({ value }: KeyValue): Invitation | undefined {
  try {
    const parsed = JSON.parse(value) as Partial<Invitation> | null
    const { id, name, apiHost, apiPort, expiresAt, usedBy } = parsed ?? {}
    if (typeof id !== 'string' || typeof name !== 'string' || typeof apiHost !== 'string') return undefined
    if (typeof apiPort !== 'number' || typeof expiresAt !== 'string') return undefined
    return { id, name, apiHost, apiPort, expiresAt, ...(typeof usedBy === 'string' ? { usedBy } : {}) }
  } catch {
    return undefined
  }
}
