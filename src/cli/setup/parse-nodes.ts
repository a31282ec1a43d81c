import { visibleText } from '../../std/visible-text.ts'
import { CommandFailure, EXIT } from '../command-failure.ts'
import type { PlannedNode } from './node-files.ts'

export const API_PORT_DEFAULT = 8008

const FORM = 'wanted NAME=ADDRESS with commas between, for example n1=10.0.0.1,n2=10.0.0.2,n3=10.0.0.3'

/**
 * Reads `--nodes a=10.0.0.1,b=10.0.0.2:8010,c`: a name alone is a host name that the nodes know. IPv6 addresses stand in
 * brackets where a port follows.
 */
export function parseNodes(text: string, witness?: string): readonly PlannedNode[] {
  const databases = wordsOf(text).map(parseNode)
  const witnesses = wordsOf(witness ?? '').map((word) => ({ ...parseNode(word), isWitness: true as const }))
  const nodes = [...databases, ...witnesses]
  if (databases.length === 0) throw wrong(`Cannot read --nodes: it is empty, ${FORM}`)
  if (nodes.length === 2) {
    throw wrong(
      'Cannot plan a cluster of two nodes: with two voters the loss of either one would stop all writes',
      'Add --witness NAME=ADDRESS, a vote without a database on a third host; or name one, three or five nodes: a second and a third can also join one later, with "pg-metako member add"',
    )
  }
  refuseDouble(
    nodes.map(({ name }) => name),
    'name',
  )
  refuseDouble(
    nodes.map(({ host, port }) => `${host}:${port}`),
    'address',
  )
  return nodes
}

function wordsOf(text: string): readonly string[] {
  return text
    .split(',')
    .map((word) => word.trim())
    .filter((word) => word !== '')
}

function parseNode(word: string): PlannedNode {
  const at = word.indexOf('=')
  const name = at < 0 ? (word.split(':')[0] ?? '') : word.slice(0, at)
  const address = at < 0 ? word : word.slice(at + 1)
  const { host, port } = parseAddress(address, word)
  return { name, host, port }
}

/** `HOST`, `HOST:PORT`, `[IPv6]:PORT` or a bare IPv6 address. */
function parseAddress(address: string, word: string): { host: string; port: number } {
  const match =
    /^\[([0-9a-fA-F:.]+)\](?::(\d+))?$/.exec(address) ??
    /^([^:[\]]+)(?::(\d+))?$/.exec(address) ??
    /^([0-9a-fA-F:.]*:[0-9a-fA-F:.]*:[0-9a-fA-F:.]*)$/.exec(address)
  const port = match?.[2] === undefined ? API_PORT_DEFAULT : Number(match[2])
  if (!match?.[1] || port < 1 || port > 65_535) {
    throw wrong(`Cannot read "${visibleText(word, 80)}" of --nodes: ${FORM}`)
  }
  return { host: match[1], port }
}

function refuseDouble(values: readonly string[], what: string): void {
  const double = values.find((value, index) => values.indexOf(value) !== index)
  if (double === undefined) return
  throw wrong(`Cannot read --nodes: two nodes have the ${what} "${visibleText(double, 80)}"`)
}

function wrong(message: string, hint?: string): CommandFailure {
  return new CommandFailure(EXIT.wrongUsage, message, hint)
}
