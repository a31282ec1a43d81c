import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { newWorld, runCommand } from '../../../test/support/decide-transcript.ts'

const FOLDER = new URL('./transcripts/', import.meta.url)

/** Runs every command of a transcript and writes what it prints below it. */
function replay(text: string): string {
  const world = newWorld()
  const blocks = text.trimEnd().split(/\n\n+/)
  const replayed = blocks.map((block) => {
    const input = block.split('\n----')[0] ?? ''
    const commands = input.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
    if (commands.length === 0) return input
    const printed = commands.map((line) => runCommand(world, line)).filter((line) => line !== 'ok')
    return `${input}\n----\n${printed.length === 0 ? 'ok' : printed.join('\n')}`
  })
  return `${replayed.join('\n\n')}\n`
}

describe('decide', () => {
  for (const name of readdirSync(FOLDER)) {
    it(`argues as ${name} says`, () => {
      const file = new URL(name, FOLDER)
      const expected = readFileSync(file, 'utf8')
      const actual = replay(expected)
      if (process.env['UPDATE'] === '1') writeFileSync(file, actual)
      expect(actual).toBe(process.env['UPDATE'] === '1' ? actual : expected)
    })
  }
})
