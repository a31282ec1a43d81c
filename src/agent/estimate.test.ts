import { expect, it } from 'vitest'
import { sampleRecord, sampleView } from '../../test/support/sample-view.ts'
import type { CandidateVerdict } from '../ha/decide/candidates.ts'
import { policyOf } from '../ha/policy.ts'
import type { FailoverRecord } from '../model/failover-record.ts'
import type { Lsn } from '../model/lsn.ts'
import { estimateOf } from './estimate.ts'

const fit = (name: string): CandidateVerdict => ({
  kind: 'eligible',
  name,
  flush: 1n as Lsn,
  priority: 1,
  unreplayed: 0,
  isFresh: true,
  witnessed: true,
})
const took = (ms: number, reason: FailoverRecord['reason'] = 'PRIMARY_CRASHED'): FailoverRecord => ({
  epoch: 2,
  from: 'n1',
  to: 'n2',
  reason,
  takeover: 'revocation',
  startedAt: '2026-05-04T02:00:00.000Z',
  steps: [
    { atMs: 0, step: 'noticed' },
    { atMs: ms, step: 'open' },
  ],
  passedOver: [],
})
const link = (k: number) => ({
  epoch: 2,
  holder: { name: 'n1', incarnation: 'a' },
  rule: { k, members: [{ name: 'n2', incarnation: 'b' }] },
})
const quorum = policyOf('lan', { acks: { method: 'ANY', isStrict: false } })
const view = sampleView({ record: sampleRecord({ acks: [link(1)] }) })

it('is the median of what unplanned take-overs took here, and that behind the silence limit', () => {
  const failovers = [took(300), took(180), took(9, 'SWITCHOVER'), took(5000)]
  expect(estimateOf({ view, failovers, candidates: [fit('n2')], policy: quorum })).toEqual({
    takeover: 'revocation',
    crashMs: 300,
    silenceMs: 1100,
    noticeMs: 800,
    measured: 3,
    lossBytes: 0,
    survives: 1,
    candidates: [{ name: 'n2' }],
  })
})

it('claims no time before a take-over was measured', () => {
  const estimate = estimateOf({
    view,
    failovers: [took(9, 'SWITCHOVER')],
    candidates: [fit('n2')],
    policy: quorum,
  })
  expect(estimate).toMatchObject({ measured: 0, noticeMs: 800 })
  expect(estimate).not.toHaveProperty('crashMs')
})

it('waits for the lease where commits wait for nobody, and names what the nearest standby lacks', () => {
  const estimate = estimateOf({
    view: sampleView(),
    failovers: [],
    candidates: [fit('n3')],
    policy: policyOf('lan'),
  })
  expect(estimate).toMatchObject({ takeover: 'lease', noticeMs: 3160, lossBytes: 0, survives: 0 })
  const streams = [{ from: 'n1', to: 'n3', state: 'streaming', isSync: false, flushLagBytes: 4096 }]
  const behind = estimateOf({
    view: sampleView({ streams }),
    failovers: [],
    candidates: [fit('n3')],
    policy: policyOf('lan'),
  })
  expect(behind.lossBytes).toBe(4096)
})

it('says when nobody could take over, and why', () => {
  const unfit: CandidateVerdict = { kind: 'unfit', name: 'n2', why: 'does not stream' }
  const estimate = estimateOf({ view, failovers: [took(180)], candidates: [unfit], policy: quorum })
  expect(estimate).toMatchObject({
    takeover: 'none',
    why: 'no other member is fit to',
    candidates: [{ name: 'n2', why: 'does not stream' }],
  })
  expect(estimate).not.toHaveProperty('crashMs')
  const { consensus } = view
  const cutOff = { ...view, consensus: { ...consensus, hasQuorum: false } }
  expect(estimateOf({ view: cutOff, failovers: [], candidates: [fit('n2')], policy: quorum }).why).toContain(
    'majority',
  )
})

it('counts the weaker of two rules while one is changed to the other, and knows no loss where no standby has anything', () => {
  const rule = link(2)
  const changing = { ...rule, next: link(0).rule }
  const between = sampleView({ record: sampleRecord({ acks: [changing] }), streams: [] })
  const estimate = estimateOf({ view: between, failovers: [], candidates: [fit('n2')], policy: quorum })
  expect(estimate.survives).toBe(0)
  expect(estimate).not.toHaveProperty('lossBytes')
})
