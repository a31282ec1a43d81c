import { readFileSync, writeFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { PROFILES } from '../src/config/derive-defaults.ts'
import { policyOf, type ProfileName } from '../src/ha/policy.ts'
import { loadConfig } from '../src/config/load-config.ts'
import { keyTable, SECTIONS } from '../src/config/keys/key-table.ts'
import { configReference } from './house/config-reference.ts'

const page = new URL('../docs/reference/config.md', import.meta.url)

describe('docs/reference/config.md', () => {
  it('says what the table of keys says', () => {
    if (process.env['UPDATE'] === '1') writeFileSync(page, configReference())
    expect(readFileSync(page, 'utf8')).toBe(configReference())
  })

  it('shows a smallest file that loads', () => {
    const text = /```yaml\n([^]*?)```/.exec(configReference())?.[1] ?? ''
    const loaded = loadConfig({
      path: 'main.yaml',
      readText: (path) => (path === 'main.yaml' ? text : 'a-secret-of-my-own'),
      env: {},
    })
    expect(loaded.kind).toBe('ok')
  })
})

describe('the profiles', () => {
  it('have the numbers that the HA core judges by', () => {
    for (const [name, profile] of Object.entries(PROFILES)) {
      const { heartbeatMs, leaseTtlMs } = policyOf(name as ProfileName)
      expect([name, profile]).toEqual([name, { heartbeatMs, leaseMs: leaseTtlMs }])
    }
  })
})

describe('the table of keys', () => {
  const all = [...keyTable.scalars, ...keyTable.lists, ...keyTable.maps, ...keyTable.records]

  it('has every key in a known section, once', () => {
    const sections = all.map(({ name }) => name.split('.')[0])
    expect(sections.filter((section) => !SECTIONS.includes(section ?? ''))).toEqual([])
    const names = keyTable.scalars.flatMap(({ name, aliases = [], oldNames = [] }) => [
      name,
      ...aliases,
      ...oldNames,
    ])
    expect(new Set(names).size).toBe(names.length)
  })

  it('has defaults that a file may write itself', () => {
    for (const { name, type, fallback } of keyTable.scalars) {
      if (fallback.kind !== 'value') continue
      expect([name, type.read(type.show(fallback.value))]).toEqual([
        name,
        { kind: 'value', value: fallback.value },
      ])
    }
  })
})
