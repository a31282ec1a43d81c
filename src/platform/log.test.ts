import { execFileSync } from 'node:child_process'
import { closeSync, constants, mkdtempSync, openSync, readFileSync, readSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { eventually } from '../../test/support/eventually.ts'
import { createLogger } from './log.ts'

const LINES = 6000
const FILLING = 'x'.repeat(1024)

let folder: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'metako-log-'))
})
afterEach(() => {
  rmSync(folder, { recursive: true, force: true })
})

it('goes on while nobody takes its lines, keeps what fits, and tells how many it dropped', async () => {
  const path = join(folder, 'pipe')
  execFileSync('mkfifo', [path])
  const reader = openSync(path, constants.O_RDWR | constants.O_NONBLOCK)
  try {
    const log = createLogger({ level: 'info', destination: path })
    for (let line = 0; line < LINES; line += 1) log.info('line', { line, FILLING })
    const take = takeLines(reader)
    const taken = await eventually('the count of what was dropped', () => {
      const lines = take()
      return lines.at(-1)?.['level'] === 'WARN' && lines
    })
    const dropped = Number(taken.at(-1)?.['lines'])
    const kept = Array.from({ length: LINES - dropped }, (_, line) => line)
    expect(taken.slice(0, -1).map((one) => one['line'])).toEqual(kept)
    expect(dropped).toBeGreaterThan(0)
  } finally {
    closeSync(reader)
  }
})

it('makes the folder of its file, writes one line of JSON for each call and adds to what is there', async () => {
  const destination = join(folder, 'deep', 'agent.log')
  createLogger({ level: 'info', destination }).with({ node: 'n1' }).warn('first', { a: 1 })
  await eventually('the first line', () => readFileSync(destination, 'utf8').endsWith('\n'))
  const log = createLogger({ level: 'info', destination })
  log.debug('not asked for')
  log.info('second')
  const lines = await eventually('the second line', () => {
    const written = readFileSync(destination, 'utf8').trimEnd().split('\n')
    return written.length === 2 && written
  })
  expect(lines.map((line) => JSON.parse(line) as unknown)).toMatchObject([
    { level: 'WARN', msg: 'first', node: 'n1', a: 1 },
    { level: 'INFO', msg: 'second' },
  ])
})

it('refuses a file that cannot be opened', () => {
  expect(() => createLogger({ level: 'info', destination: folder })).toThrow(/EISDIR/)
})

/** All whole lines that came through so far. */
function takeLines(reader: number): () => readonly Record<string, unknown>[] {
  let text = ''
  const buffer = Buffer.alloc(1024 * 1024)
  return () => {
    for (;;) {
      try {
        const count = readSync(reader, buffer)
        text += buffer.toString('utf8', 0, count)
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'EAGAIN') break
        throw error
      }
    }
    const whole = text.slice(0, text.lastIndexOf('\n'))
    return whole === '' ? [] : whole.split('\n').map((line) => JSON.parse(line) as Record<string, unknown>)
  }
}

it('keeps the newest lines for who asks the process, each with its number, and cuts long ones', async () => {
  const log = createLogger({ level: 'info', destination: join(folder, 'log') })
  for (let line = 0; line < 400; line += 1) log.info(`line ${line}`)
  log.debug('not written')
  log.warn('long', { FILLING: FILLING.repeat(9) })
  const kept = log.tail(0)
  expect(kept).toHaveLength(300)
  expect(kept[0]?.number).toBe(102)
  expect(kept.at(-1)?.number).toBe(401)
  expect(kept.at(-1)?.text).toHaveLength(4096)
  expect(
    log.tail(399).map(({ text }) => (JSON.parse(text.length < 4096 ? text : '{}') as { msg?: string }).msg),
  ).toEqual(['line 399', undefined])
  await eventually('the last line on disk', () =>
    readFileSync(join(folder, 'log'), 'utf8').includes('"msg":"long"'),
  )
})
