import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { runCommand } from '../scripts/child.mjs'
import { isTooOld, objectionTo } from '../scripts/old-node.mjs'
import { repositoryRoot } from './house/source-tree.ts'

const SENTENCE = 'pg-metako needs Node.js 20.19 or newer: this is 18.20.8'

/** Runs a file of ours as if this Node were another. */
async function asNode(version: string, file: string): Promise<{ code: number; output: string }> {
  const pretend = `Object.defineProperty(process.versions, 'node', { value: '${version}' });`
  const imported = `data:text/javascript,${encodeURIComponent(pretend)}`
  return runCommand([process.execPath, '--import', imported, file], { quiet: true, timeoutMs: 20_000 })
}

describe('a Node below the floor', () => {
  it('is told in one line what is wanted, with exit code 2', async () => {
    for (const version of ['18.20.8', '20.18.3', '16.0.0']) {
      const ended = await asNode(version, 'scripts/require-node.cjs')
      expect(objectionTo(ended, `v${version}`), version).toBeUndefined()
    }
    for (const version of ['20.19.0', '22.0.0', '24.1.0']) {
      expect(await asNode(version, 'scripts/require-node.cjs'), version).toMatchObject({
        code: 0,
        output: '',
      })
    }
  })

  it('is told the same by the program, which checks before it loads anything', () => {
    const source = readFileSync(`${repositoryRoot}src/main.ts`, 'utf8')
    expect(source).not.toMatch(/^import /m)
    const check = readFileSync(`${repositoryRoot}scripts/require-node.cjs`, 'utf8')
    const floor = /needs Node\.js [\d.]+ or newer/
    expect(floor.exec(source)?.[0]).toBe(floor.exec(check)?.[0])
  })

  it('is known by its version', () => {
    expect(['v18.20.8', 'v20.18.9', 'v12.0.0'].every(isTooOld)).toBe(true)
    expect(['v20.19.0', 'v22.0.0', 'v24.4.1'].some(isTooOld)).toBe(false)
  })

  it('counts as refused by nothing but that line and that code', () => {
    const spoken = (output: string, code = 2) => objectionTo({ code, output }, 'v18.20.8')
    expect(spoken(`npm warn cli old\n\n> pg-metako@0.1.0 start\n> node x\n\n${SENTENCE}\n`)).toBeUndefined()
    expect(spoken(SENTENCE, 1)).toBe('ended with 1')
    expect(spoken(`${SENTENCE}\nSyntaxError: x`)).toContain('SyntaxError')
    expect(spoken('')).toBeDefined()
  })
})
