import { createInterface } from 'node:readline/promises'

/** Asks a person at the terminal; `undefined` when the input ends or Ctrl-C is pressed. */
export async function askLine(question: string): Promise<string | undefined> {
  const lines = createInterface({ input: process.stdin, output: process.stderr })
  const ended = new AbortController()
  lines.once('close', () => ended.abort())
  lines.once('SIGINT', () => ended.abort())
  try {
    return await lines.question(question, { signal: ended.signal })
  } catch {
    return undefined
  } finally {
    lines.close()
  }
}

/** Everything that standard input has, as text; `undefined` where it is more than the limit. */
export async function readInput(bytesMax: number): Promise<string | undefined> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of process.stdin) {
    chunks.push(chunk as Buffer)
    bytes += (chunk as Buffer).length
    if (bytes > bytesMax) return undefined
  }
  return Buffer.concat(chunks).toString('utf8')
}
