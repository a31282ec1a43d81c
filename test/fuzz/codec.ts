import { parseScramVerifier, scramServerFinal, scramServerFirst } from '../../src/auth/scram-server.ts'
import { scramVerifier } from '../../src/auth/scram.ts'
import { parseStoredSecret, parseUserList } from '../../src/auth/stored-secret.ts'
import { hmacSha256, pbkdf2Sha256, sha256 } from '../../src/platform/hash.ts'
import { HEADER_BYTES } from '../../src/proxy/pool/client-messages.ts'
import { MessageCursor } from '../../src/proxy/pool/message-cursor.ts'
import { judgeStatement } from '../../src/proxy/pool/statement-rewriter.ts'
import { Fault } from '../../src/std/fault.ts'
import { KiB } from '../../src/std/units.ts'
import { parseAuthentication, parsePassword, parseSaslInitial } from '../../src/wire/authentication.ts'
import { isWaitCancelled, parseErrorResponse } from '../../src/wire/error-response.ts'
import { MessageReader, messageType } from '../../src/wire/frame.ts'
import { MessageScanner } from '../../src/wire/message-scanner.ts'
import { parseBackupMessage, parseDataRow, parseRowDescription } from '../../src/wire/replication.ts'
import { parseParameterStatus } from '../../src/wire/session-state.ts'
import { buildStartup, parseBackendKey, parseStartup } from '../../src/wire/startup.ts'
import { bindNameEnds, statementOfAbout } from '../../src/wire/statement.ts'
import { seededRandom } from '../support/seeded-random.ts'
import { anyMessage, below, mutate, pick, startupPacket, type Random } from './messages.ts'

/**
 * The codec under bytes that nobody sends: every scanner and parser of `wire`, and what the pool reads of clients, each held against one
 * plain reading of the same bytes. One seed is a batch; a violation names it.
 */

export type CodecInput = {
  readonly bytes: Buffer
  /** The same in pieces. */
  readonly pieces: readonly Buffer[]
  readonly random: Random
}

export type CodecTarget = { readonly name: string; readonly run: (input: CodecInput) => void }

export type Violation = {
  readonly seed: number
  readonly target: string
  readonly what: string
  readonly bytes: string
}

export const MESSAGES_PER_SEED = 1000
const LIMIT_BYTES = 64 * KiB
const HASHES = { sha256, hmacSha256, pbkdf2Sha256 }
const VERIFIER = parseScramVerifier(
  scramVerifier({ password: 'secret', salt: Buffer.alloc(16), iterations: 1, hashes: HASHES }),
)

/** One batch; the first violation ends it. */
export function runCodecSeed(
  seed: number,
  targets: readonly CodecTarget[] = codecTargets,
): Violation | undefined {
  const random = seededRandom(seed)
  for (let left = MESSAGES_PER_SEED; left > 0;) {
    const count = Math.min(left, 1 + below(random, 8))
    left -= count
    const bytes = stream(random, count)
    const input = { bytes, pieces: cut(random, bytes), random }
    for (const target of targets) {
      try {
        target.run(input)
      } catch (error) {
        const what = error instanceof Error ? (error.stack ?? error.message) : String(error)
        return { seed, target: target.name, what, bytes: bytes.toString('hex') }
      }
    }
  }
  return undefined
}

function stream(random: Random, count: number): Buffer {
  const parts: Buffer[] = []
  for (let index = 0; index < count; index += 1) {
    const original = random() < 0.1 ? startupPacket(random) : anyMessage(random)
    parts.push(random() < 0.4 ? original : mutate(random, original))
  }
  return Buffer.concat(parts)
}

function cut(random: Random, bytes: Buffer): readonly Buffer[] {
  const longest = pick(random, [1, 3, 7, 64, 100_000])
  const pieces: Buffer[] = []
  for (let at = 0; at < bytes.length;) {
    const end = at + 1 + below(random, longest)
    pieces.push(bytes.subarray(at, end))
    at = end
  }
  return pieces
}

type Reading = {
  /** Whose header is there; `end` may lie beyond the bytes. */
  readonly begun: readonly { readonly type: number; readonly at: number; readonly end: number }[]
  readonly isLost: boolean
}

/** What every target must agree with: the headers, one after the other. */
function read(bytes: Buffer): Reading {
  const begun: { type: number; at: number; end: number }[] = []
  let at = 0
  while (bytes.length - at >= HEADER_BYTES) {
    const length = bytes.readInt32BE(at + 1)
    if (length < 4) return { begun, isLost: true }
    const end = at + 1 + length
    begun.push({ type: bytes[at] as number, at, end })
    if (end > bytes.length) break
    at = end
  }
  return { begun, isLost: false }
}

function same(what: string, got: unknown, wanted: unknown): void {
  const [one, other] = [JSON.stringify(got), JSON.stringify(wanted)]
  if (one !== other) throw new Error(`${what}: ${one}, wanted ${other}`)
}

function hold(what: string, holds: boolean): void {
  if (!holds) throw new Error(what)
}

function readerAgrees({ bytes, pieces }: CodecInput): void {
  const { begun } = read(bytes)
  const reader = new MessageReader({ limitBytes: LIMIT_BYTES })
  const got: number[][] = []
  let fault: string | undefined
  try {
    for (const piece of pieces) {
      reader.push(piece)
      for (let next = reader.next(); next; next = reader.next()) got.push([next.type, next.body.length])
    }
  } catch (error) {
    if (!(error instanceof Fault)) throw error
    fault = error.code
  }
  const tooLong = begun.findIndex(({ at, end }) => end - at - 1 > LIMIT_BYTES)
  const whole = begun.filter(({ end }, index) => end <= bytes.length && (tooLong < 0 || index < tooLong))
  same(
    'messages',
    got,
    whole.map(({ type, at, end }) => [type, end - at - HEADER_BYTES]),
  )
  if (fault === 'WIRE_MESSAGE_TOO_LARGE') hold('a message that is short enough was refused', tooLong >= 0)
  else if (fault !== undefined) same('fault', fault, 'WIRE_LENGTH_INVALID')
  hold('more is kept than came', reader.bufferedBytes <= bytes.length)
}

const CAPTURED = ['Z', 'K', 'N'].map(messageType)

function scannerAgrees({ bytes, pieces }: CodecInput): void {
  const { begun, isLost } = read(bytes)
  const types: number[] = []
  const bodies: string[] = []
  const scanner = new MessageScanner(
    {
      message: (type) => void types.push(type),
      captured: (_type, body) => void bodies.push(body.toString('hex')),
    },
    CAPTURED,
  )
  for (const piece of pieces) scanner.scan(piece)
  same(
    'types',
    types,
    begun.map(({ type }) => type),
  )
  same('lost', scanner.lost, isLost)
  const last = begun.at(-1)
  const border = last ? last.end : 0
  same('border', scanner.atBorder, !isLost && border === bytes.length)
  const wanted = begun.filter(({ type, at, end }) => {
    const length = end - at - HEADER_BYTES
    return CAPTURED.includes(type) && end <= bytes.length && length > 0 && length <= 2048
  })
  same(
    'captured',
    bodies,
    wanted.map(({ at, end }) => bytes.toString('hex', at + HEADER_BYTES, end)),
  )
}

/** What a pooled client does with messages that it passes on. */
function cursorAgrees({ bytes, pieces }: CodecInput): void {
  const { begun, isLost } = read(bytes)
  const cursor = new MessageCursor()
  const types: number[] = []
  const sent: Buffer[] = []
  let isOver = false
  for (const piece of pieces) {
    cursor.add(piece)
    if (isOver || !cursor.hasEnough) continue
    cursor.open()
    for (let { type } = cursor; type !== undefined; { type } = cursor) {
      const { end } = cursor
      if (end === undefined) {
        isOver = true
        break
      }
      types.push(type)
      cursor.passOn(end)
    }
    const unsent = cursor.takeUnsent()
    if (unsent) sent.push(unsent)
    cursor.close()
  }
  same(
    'types',
    types,
    begun.map(({ type }) => type),
  )
  same('over', isOver, isLost)
  const passed = begun.length === 0 ? 0 : Math.min(bytes.length, begun.at(-1)?.end ?? 0)
  hold('other bytes were passed on than came', Buffer.concat(sent).equals(bytes.subarray(0, passed)))
}

function startupHolds({ bytes, random }: CodecInput): void {
  const packet = random() < 0.5 ? bytes : mutate(random, startupPacket(random))
  const parsed = parseStartup(packet)
  if (parsed.kind === 'incomplete' || parsed.kind === 'malformed') return
  hold('a packet is longer than what came', parsed.bytes <= packet.length)
  same('read once more', parseStartup(packet.subarray(0, parsed.bytes)).kind, parsed.kind)
  if (parsed.kind !== 'startup' || parsed.parameters.has('')) return
  const again = parseStartup(buildStartup(parsed.parameters))
  const pairs = again.kind === 'startup' ? [...again.parameters] : again.kind
  same('parameters', pairs, [...parsed.parameters])
}

/** A part of a message never says something else than the whole will. */
function statementsAgree({ bytes, random }: CodecInput): void {
  for (const { type, at, end } of read(bytes).begun) {
    if (!'PBDC'.includes(String.fromCharCode(type)) || end > bytes.length) continue
    const whole = judgeStatement({ type, chunk: bytes.subarray(0, end), at, end })
    hold('a whole message is not enough', whole !== 'MORE')
    const chunk = bytes.subarray(0, at + HEADER_BYTES + below(random, end - at - HEADER_BYTES + 1))
    const part = judgeStatement({ type, chunk, at, end })
    if (part !== 'MORE') same('verdict of a part', part, whole)
  }
}

const bodyParsers: readonly ((body: Buffer) => unknown)[] = [
  parseAuthentication,
  parsePassword,
  parseSaslInitial,
  parseErrorResponse,
  isWaitCancelled,
  parseParameterStatus,
  parseBackendKey,
  parseBackupMessage,
  parseRowDescription,
  parseDataRow,
  statementOfAbout,
  (body) => bindNameEnds(body, 0),
]

function bodiesAreRead({ bytes }: CodecInput): void {
  for (const { at, end } of read(bytes).begun) {
    const body = bytes.subarray(at + HEADER_BYTES, end)
    for (const parse of bodyParsers) parse(body)
  }
}

/** Proofs and lists of users are texts. */
function secretsAreRead({ bytes, random }: CodecInput): void {
  if (!VERIFIER || random() < 0.9) return
  const said = bytes.toString('utf8')
  parseStoredSecret(said)
  parseUserList(said)
  const clientFirst = random() < 0.5 ? said : `n,,n=,r=${said}`
  const first = scramServerFirst(VERIFIER, { mechanism: 'SCRAM-SHA-256', clientFirst, nonce: 'nonce' })
  if (first.kind === 'failed') return
  const proof = Buffer.alloc(32).toString('base64')
  const clientFinal = random() < 0.5 ? said : `c=${first.binding},r=${first.nonce},p=${proof}`
  same(
    'a proof of nothing',
    scramServerFinal(first, { clientFinal, verifier: VERIFIER, hashes: HASHES }).kind,
    'failed',
  )
}

export const codecTargets: readonly CodecTarget[] = [
  { name: 'MessageReader', run: readerAgrees },
  { name: 'MessageScanner', run: scannerAgrees },
  { name: 'MessageCursor', run: cursorAgrees },
  { name: 'parseStartup', run: startupHolds },
  { name: 'judgeStatement', run: statementsAgree },
  { name: 'bodies', run: bodiesAreRead },
  { name: 'secrets', run: secretsAreRead },
]
