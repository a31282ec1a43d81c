import { beforeEach, describe, expect, it } from 'vitest'
import { MeddledStore, VirtualClock } from '../../../test/support/ha-fakes.ts'
import type { JoinDocument } from '#client'
import type { JoinOrder } from '../../api/ports.ts'
import { keysOf } from '../../ha/keys.ts'
import { joinAnswerContext, joinProofContext, parseJoinToken } from '../../model/join-token.ts'
import { hmacSha256, unseal } from '../../platform/hash.ts'
import { randomHex } from '../../platform/random.ts'
import { HOUR } from '../../std/units.ts'
import { acceptJoin, invite, type InvitationDeps } from './invitations.ts'
import { beginOperations, readRegistry } from './registry.ts'

const keys = keysOf('service', 'main')
const n4 = { name: 'n4', apiHost: '10.0.0.4', apiPort: 8008, requestedBy: 'test' }

describe('invitations', () => {
  let clock: VirtualClock
  let store: MeddledStore
  let deps: InvitationDeps

  beforeEach(async () => {
    clock = new VirtualClock()
    store = new MeddledStore()
    deps = {
      clock,
      store,
      keys,
      clusterSecret: 'the secret of the cluster',
      randomHex,
      urls: () => ['http://10.0.0.1:8008'],
      document: (name, registry) => ({ name, registry, groupId: 'g' }) as unknown as JoinDocument,
    }
    const since = '2026-11-24T10:00:00.000Z'
    const nodes = [{ name: 'n1', apiHost: '10.0.0.1', apiPort: 8008, incarnation: 'a', since }]
    await store.transact({ compares: [], operations: beginOperations(keys, nodes) }, { deadlineMs: 1000 })
  })

  async function tokenFor(order = n4): Promise<string> {
    const outcome = await invite(deps, order)
    if (outcome.kind !== 'done') throw new Error(outcome.message)
    return outcome.token
  }

  function proven(text: string, change: Partial<JoinOrder> = {}): JoinOrder {
    const token = parseJoinToken(text)
    if (!token) throw new Error(`no token: ${text}`)
    const words = { invitation: token.invitation, nonce: randomHex(16), incarnation: randomHex(16) }
    const proof = hmacSha256(token.secret, joinProofContext(words)).toString('hex')
    return { ...words, proof, ...change }
  }

  it('take a node in that proves the token, and tell it everything under a key that only they share', async () => {
    const token = await tokenFor()
    const order = proven(token)
    const outcome = await acceptJoin(deps, order)
    if (outcome.kind !== 'done') throw new Error(outcome.kind)
    expect(readRegistry(store, keys)?.nodes.at(-1)).toMatchObject({
      name: 'n4',
      apiHost: '10.0.0.4',
      incarnation: order.incarnation,
    })
    const secret = parseJoinToken(token)?.secret ?? ''
    expect(Buffer.from(outcome.sealed, 'base64').toString('latin1')).not.toContain('"n4"')
    expect(unseal('guess', joinAnswerContext(order, outcome.nonce), outcome.sealed)).toBeUndefined()
    const text = unseal(secret, joinAnswerContext(order, outcome.nonce), outcome.sealed)
    expect(JSON.parse(text ?? '')).toMatchObject({ name: 'n4', groupId: 'g' })
  })

  it('are for one node once, which may ask again when its answer got lost', async () => {
    const token = await tokenFor()
    const order = proven(token)
    expect((await acceptJoin(deps, order)).kind).toBe('done')
    expect((await acceptJoin(deps, order)).kind).toBe('done')
    expect((await acceptJoin(deps, proven(token))).kind).toBe('used')
    expect(readRegistry(store, keys)?.nodes).toHaveLength(2)
  })

  it('are taken by one of two nodes that come at the same time', async () => {
    const token = await tokenFor()
    const kinds = await Promise.all([acceptJoin(deps, proven(token)), acceptJoin(deps, proven(token))])
    expect(kinds.map(({ kind }) => kind).toSorted()).toEqual(['done', 'used'])
  })

  it('run out', async () => {
    const token = await tokenFor()
    await clock.advance(HOUR + 1)
    expect((await acceptJoin(deps, proven(token))).kind).toBe('expired')
  })

  it('say nothing but no to who has not proven the token', async () => {
    const token = await tokenFor()
    const order = proven(token)
    for (const change of [
      { proof: '0'.repeat(64) },
      { incarnation: randomHex(16) },
      { nonce: randomHex(16) },
      { invitation: randomHex(8) },
    ])
      expect(await acceptJoin(deps, { ...order, ...change })).toEqual({ kind: 'not-invited' })
    expect(readRegistry(store, keys)?.nodes).toHaveLength(1)
  })

  it('hold no secret: what lies in the store opens nothing', async () => {
    const token = await tokenFor()
    const secret = parseJoinToken(token)?.secret ?? ''
    const stored = store.peekPrefix(keys.root).map(({ value }) => value)
    expect(stored.join()).not.toContain(secret)
    expect(secret).toHaveLength(43)
  })

  it('replace an earlier one for the same name, and go when they have run out', async () => {
    const first = await tokenFor()
    const second = await tokenFor()
    expect((await acceptJoin(deps, proven(first))).kind).toBe('not-invited')
    await clock.advance(HOUR + 1)
    await tokenFor({ ...n4, name: 'n5', apiHost: '10.0.0.5' })
    expect((await acceptJoin(deps, proven(second))).kind).toBe('not-invited')
    expect(store.peekPrefix(keys.invitations)).toHaveLength(1)
  })

  it('are refused for a member and for its address', async () => {
    expect(await invite(deps, { ...n4, name: 'n1' })).toMatchObject({ kind: 'refused', reason: 'EXISTS' })
    expect(await invite(deps, { ...n4, apiHost: '10.0.0.1' })).toMatchObject({
      kind: 'refused',
      message: expect.stringContaining('"n1"'),
    })
  })
})
