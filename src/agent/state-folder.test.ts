import { mkdtempSync, realpathSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { silentLogger } from '../platform/log.ts'
import { policyOf } from '../ha/policy.ts'
import { foundRaftGroup } from '../store/raft/storage.ts'
import { realClock } from './clock.ts'
import { Founding } from './consensus.ts'
import type { Heartbeats } from './heartbeats.ts'
import type { PeerWire } from './host-ports.ts'
import { StateFolder } from './state-folder.ts'

const quietHeartbeats = { push: () => undefined } as unknown as Heartbeats
const quietWire = {
  send: () => false,
  onFrame: () => () => undefined,
  onLost: () => () => undefined,
} as unknown as PeerWire

describe('StateFolder', () => {
  let path: string

  beforeEach(() => {
    path = join(realpathSync(mkdtempSync(join(tmpdir(), 'state-'))), 'state')
  })

  afterEach(() => {
    rmSync(join(path, '..'), { recursive: true, force: true })
  })

  it('remembers a promotion over a restart, and forgets it when told', async () => {
    const state = await StateFolder.open(path)
    expect(state.promotedIn()).toBeUndefined()
    await state.writePromotion({ epoch: 8, incarnation: 'disk' })
    expect((await StateFolder.open(path)).promotedIn()).toEqual({ epoch: 8, incarnation: 'disk' })
    await state.writePromotion(undefined)
    expect((await StateFolder.open(path)).promotedIn()).toBeUndefined()
  })

  it('never takes a file that it cannot read for an absent one', async () => {
    const state = await StateFolder.open(path)
    writeFileSync(join(path, 'promotion.json'), '{"epoch":')
    await expect(StateFolder.open(path)).rejects.toMatchObject({ code: 'STATE_FOLDER_UNUSABLE' })
    writeFileSync(join(path, 'genesis.json'), '')
    await expect(state.readGenesis()).rejects.toMatchObject({ code: 'STATE_FOLDER_UNUSABLE' })
  })

  it('makes its nonce and its token once, for nobody else to read', async () => {
    const state = await StateFolder.open(path)
    const [nonce, token] = [await state.nonce(), await state.token()]
    const again = await StateFolder.open(path)
    expect([await again.nonce(), await again.token()]).toEqual([nonce, token])
    expect(statSync(state.tokenFile).mode & 0o077).toBe(0)
    expect(statSync(path).mode & 0o077).toBe(0)
  })

  it('makes a token anew when a crash left an empty file', async () => {
    const state = await StateFolder.open(path)
    writeFileSync(state.tokenFile, '')
    expect((await state.token()).length).toBeGreaterThan(20)
  })

  describe('and the founding of consensus', () => {
    const options = { self: 'n1', scope: 'main', members: ['n1'], policy: policyOf('lan') }
    const prepare = async () => {
      const state = await StateFolder.open(path)
      return Founding.prepare({ clock: realClock, state, log: silentLogger(), host: {} }, options, true)
    }

    it('begins anew where nothing was founded, also after a crash in the middle', async () => {
      const { hello } = await prepare()
      expect(hello).toMatchObject({ isEmpty: true })
      const state = await StateFolder.open(path)
      await state.writeGenesis({ groupId: 'g', nonces: { n1: hello.nonce } })
      expect((await prepare()).hello).toMatchObject({ isEmpty: true, nonce: hello.nonce })
    })

    it('begins an empty log that is nobody’s voter where it was invited, and remembers which', async () => {
      const state = await StateFolder.open(path)
      const joined = { groupId: 'g', incarnation: 'fresh' }
      await state.writeMembership({ revision: 7, nodes: [], removed: [], joined })
      const founding = await prepare()
      expect(founding.incarnation).toBe('fresh')
      const store = await founding.open(quietHeartbeats, quietWire, {
        signal: new AbortController().signal,
        onFatal: () => undefined,
      })
      try {
        expect(store?.membership()).toMatchObject({ voters: [], learners: [], isRemoved: false })
        expect(founding.hello.group).toEqual({ groupId: 'g', nonces: {} })
      } finally {
        await store?.stop()
      }
      expect((await prepare()).incarnation).toBe('fresh')
      rmSync(state.raftFolder, { recursive: true })
      await expect(prepare()).rejects.toMatchObject({
        code: 'RAFT_LOG_ABSENT',
        message: expect.stringContaining('pg-metako member add n1'),
      })
    })

    it('refuses to vote again after its log was lost', async () => {
      const state = await StateFolder.open(path)
      await state.writeGenesis({ groupId: 'g', nonces: { n1: await state.nonce() } })
      foundRaftGroup(state.raftFolder, { groupId: 'g', voters: [{ name: 'n1', incarnation: '1' }] })
      expect((await prepare()).hello.group).toMatchObject({ groupId: 'g' })
      rmSync(state.raftFolder, { recursive: true })
      await expect(prepare()).rejects.toMatchObject({ code: 'RAFT_LOG_ABSENT' })
    })
  })
})
