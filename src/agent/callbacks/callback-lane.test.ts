import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { eventually } from '../../../test/support/eventually.ts'
import type { LogFields, Logger } from '../../platform/log.ts'
import { CallbackLane } from './callback-lane.ts'

/** What is told of the programs, in their order. */
function listeningLog(lines: LogFields[]): Logger {
  const take = (_message: string, fields: LogFields = {}) => void lines.push(fields)
  const log: Logger = {
    debug: take,
    info: take,
    warn: take,
    error: take,
    with: () => log,
    setLevel: () => {},
  }
  return log
}

describe('programs that are called', () => {
  let folder: string
  let told: LogFields[]
  let lane: CallbackLane

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'metako-callback-'))
    told = []
    lane = new CallbackLane(listeningLog(told), undefined)
  })
  afterEach(async () => {
    lane.call({ words: ['true'], timeoutMs: 5000, about: {} })
    await lane.idle()
    rmSync(folder, { recursive: true, force: true })
  })

  const file = (name: string) => join(folder, name)
  const shell = (text: string, timeoutMs = 10_000) =>
    lane.call({ words: ['/bin/sh', '-c', text, 'sh', folder], timeoutMs, about: { action: text } })

  it('are told of with what they said, and how they ended', async () => {
    shell('echo said here; echo and there >&2')
    await lane.idle()
    expect(told).toEqual([expect.objectContaining({ program: '/bin/sh', output: 'said here\nand there' })])
    expect(told[0]).not.toHaveProperty('why')
    shell('exit 3')
    await lane.idle()
    expect(told[1]).toMatchObject({ why: 'it ended with code 3' })
  })

  it('that are not there are told of, and stop nothing', async () => {
    lane.call({ words: [file('nobody')], timeoutMs: 1000, about: {} })
    await lane.idle()
    expect(told).toEqual([expect.objectContaining({ why: expect.stringContaining('ENOENT') as string })])
    shell('touch $1/next')
    await lane.idle()
    expect(existsSync(file('next'))).toBe(true)
  })

  it('run one at a time, the newest of those that wait, and what runs is killed for it with all that it started', async () => {
    shell('echo $$ > $1/pid; (sleep 300 & echo $! > $1/below; wait)')
    const pid = Number(
      await eventually(
        'the first to run',
        () => existsSync(file('below')) && readFileSync(file('below'), 'utf8').trim(),
      ),
    )
    shell('touch $1/second')
    shell('touch $1/third')
    await lane.idle()
    expect(told.map(({ why }) => why)).toEqual(['it was ended: something newer has happened', undefined])
    expect([existsSync(file('second')), existsSync(file('third'))]).toEqual([false, true])
    await eventually('what it started to be gone', () => !isThere(pid))
  })

  it('are killed when their time is over', async () => {
    shell('sleep 300', 50)
    await lane.idle()
    expect(told).toEqual([expect.objectContaining({ why: 'it was ended: it took longer than 0.05 s' })])
  })

  it('are not waited for when they leave something in the background that holds their output', async () => {
    shell('sleep 300 & echo $! > $1/below; echo done')
    await lane.idle()
    expect(told).toEqual([expect.objectContaining({ output: 'done' })])
    const below = Number(readFileSync(file('below'), 'utf8'))
    expect(isThere(below)).toBe(true)
    process.kill(below, 'SIGKILL')
  })
})

function isThere(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
