import { message } from './frame.ts'

/** The name and value of a ParameterStatus body; `undefined` when it is malformed. */
export function parseParameterStatus(body: Buffer): { name: string; value: string } | undefined {
  const nameEnd = body.indexOf(0)
  const valueEnd = nameEnd < 0 ? -1 : body.indexOf(0, nameEnd + 1)
  if (valueEnd < 0) return undefined
  return { name: body.toString('utf8', 0, nameEnd), value: body.toString('utf8', nameEnd + 1, valueEnd) }
}

export function buildParameterStatus(name: string, value: string): Buffer {
  return message('S', Buffer.from(`${name}\0${value}\0`, 'utf8'))
}

/** ReadyForQuery: `I` idle, `T` in a transaction, `E` in one that failed. */
export function buildReady(status: 'I' | 'T' | 'E'): Buffer {
  return message('Z', Buffer.from(status))
}

export function buildCommandComplete(tag: string): Buffer {
  return message('C', Buffer.from(`${tag}\0`, 'utf8'))
}

export function buildQuery(text: string): Buffer {
  return message('Q', Buffer.from(`${text}\0`, 'utf8'))
}

/** A value as SQL writes it, whatever `standard_conforming_strings` says. */
export function quoteLiteral(value: string): string {
  const quoted = value.replaceAll("'", "''")
  return quoted.includes('\\') ? `E'${quoted.replaceAll('\\', '\\\\')}'` : `'${quoted}'`
}
