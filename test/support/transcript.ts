import { readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

/** Runs one command line and returns what it prints. */
export type TranscriptRunner = (line: string) => string

/**
 * Text that an expert reads without knowing the code: blocks of commands, then `----`, then what they print, then an empty
 * line. Lines with `#` before the commands are kept as they are. Returns the same text with what the commands print now.
 */
function replay(transcript: string, run: TranscriptRunner): string {
  const blocks = transcript.trim().split(/\n\n+/)
  const replayed = blocks.map((block) => {
    const [head = ''] = block.split('\n----')
    const commands = head.split('\n').filter((line) => !line.startsWith('#'))
    if (commands.length === 0) return head
    const printed = commands.map((line) => run(line)).filter((text) => text !== '')
    return `${head}\n----\n${printed.length > 0 ? printed.join('\n') : 'ok'}`
  })
  return `${replayed.join('\n\n')}\n`
}

/** One test for each `*.txt` in a folder; each file gets a world of its own. `UPDATE=1` rewrites them: read the diff. */
export function describeTranscripts(title: string, folder: URL, newRunner: () => TranscriptRunner): void {
  describe(title, () => {
    const path = fileURLToPath(folder)
    const files = readdirSync(path).filter((name) => name.endsWith('.txt'))
    for (const file of files.toSorted()) {
      it(file.replace(/\.txt$/, '').replaceAll('-', ' '), () => {
        const wanted = readFileSync(new URL(file, folder), 'utf8')
        const actual = replay(wanted, newRunner())
        if (process.env['UPDATE'] === '1') writeFileSync(new URL(file, folder), actual)
        else expect(actual).toBe(wanted)
      })
    }
  })
}
