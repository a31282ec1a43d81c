import { describe, expect, it } from 'vitest'
import { policyOf } from '../ha/policy.ts'
import { judgeDynamicConfig } from '../model/dynamic-config.ts'
import { livePolicy } from './live-policy.ts'

const file = policyOf('lan', {
  maximumLagBytes: 1000,
  acks: { method: 'ANY', isStrict: false, wantedK: 2 },
})

function policyWith(settings: object | undefined) {
  return livePolicy(file, () => (settings === undefined ? undefined : JSON.stringify(settings)))
}

describe('the limits of a node', () => {
  it('are those of its file where nothing is set for the whole cluster, and follow what is set at once', () => {
    let settings: string | undefined
    const policy = livePolicy(file, () => settings)
    expect([policy.maximumLagBytes, policy.acks]).toEqual([1000, file.acks])
    settings = JSON.stringify({ maximum_lag_on_failover: 5, primary_start_timeout: 7 })
    expect([policy.maximumLagBytes, policy.primaryStartTimeoutMs]).toEqual([5, 7000])
    settings = undefined
    expect([policy.maximumLagBytes, policy.primaryStartTimeoutMs]).toEqual([1000, 0])
    expect(policy.leaseTtlMs).toBe(file.leaseTtlMs)
  })

  it.each([
    [{ synchronous_mode: false }, undefined],
    [{ synchronous_mode: 'off' }, undefined],
    [{ synchronous_mode: true }, { method: 'FIRST', isStrict: false, wantedK: 2 }],
    [{ synchronous_mode: 'quorum' }, { method: 'ANY', isStrict: false, wantedK: 2 }],
    [{ synchronous_mode_strict: true }, { method: 'ANY', isStrict: true, wantedK: 2 }],
    [{ synchronous_node_count: 1 }, { method: 'ANY', isStrict: false, wantedK: 1 }],
    [{ synchronous_mode: 'some' }, { method: 'ANY', isStrict: false, wantedK: 2 }],
  ])('let commits wait by %j', (settings, acks) => {
    expect(policyWith(settings).acks).toEqual(acks)
  })

  it('wait for nobody where the file says so, until a mode is set', () => {
    const { acks: _, ...async } = file
    const policy = (settings: object) => livePolicy(async, () => JSON.stringify(settings))
    expect(policy({ synchronous_mode_strict: true }).acks).toBeUndefined()
    expect(policy({ synchronous_mode: 'quorum', synchronous_mode_strict: true }).acks).toEqual({
      method: 'ANY',
      isStrict: true,
    })
  })
})

it.each([
  ['maximum_lag_on_failover', -1, 'must be a number of bytes, not -1'],
  ['maximum_lag_on_failover', '16MB', 'must be a number of bytes, not "16MB"'],
  ['primary_start_timeout', 0.5, 'must be a number of seconds, not 0.5'],
  ['synchronous_mode', 'all', 'must be true, false, on, off, quorum, not "all"'],
  ['synchronous_mode_strict', 'yes', 'must be true, false, not "yes"'],
  ['synchronous_node_count', 0, 'must be a number of members above 0, not 0'],
  ['ttl', 30, 'cannot be set for the whole cluster'],
])('the setting %s cannot be %j', (key, value, rule) => {
  expect(judgeDynamicConfig({ [key]: value })).toEqual([
    { key, rule: expect.stringContaining(rule) as string },
  ])
})
