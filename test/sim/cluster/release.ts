import { OLDEST_VERSION, PROTOCOL_VERSION } from '../../../src/raft/protocol.ts'

/**
 * A program that an agent runs, as the others can tell it apart by its consensus messages (docs/adr/0013). `before`: it knew no versions
 * and none of what came with them. `next`: it says a higher version, and fields that nobody knows yet.
 */
export type Release = 'before' | 'this' | 'next'

export function nextRelease(release: Release): Release {
  return release === 'before' ? 'this' : 'next'
}

export function newestRelease(releases: readonly Release[]): Release {
  if (releases.includes('next')) return 'next'
  return releases.includes('this') ? 'this' : 'before'
}

const PREFIX_BYTES = 5

type Header = Record<string, unknown> & { v?: number; n?: number; m?: object }

/** What this program wrote, as the other one would have. */
export function wordsOf(release: Release, payload: Uint8Array): Uint8Array {
  switch (release) {
    case 'this':
      return payload
    case 'before':
      return changed(payload, withoutVersions)
    case 'next':
      return changed(payload, (header) => ({
        ...header,
        v: PROTOCOL_VERSION + 1,
        later: 'of a release to come',
        m: { ...header.m, later: [1, { two: 3 }] },
      }))
  }
}

/** What the other program makes of it; `undefined` where it understands nothing. */
export function understoodBy(release: Release, payload: Uint8Array): Uint8Array | undefined {
  if (release !== 'before') return payload
  const { n = OLDEST_VERSION } = headerIn(payload)
  // It takes everybody for one of its own, and so says nothing that needs more.
  return n > OLDEST_VERSION ? undefined : changed(payload, withoutVersions)
}

function withoutVersions({ v: _says, n: _needs, ...header }: Header): Header {
  return header
}

function headerIn(payload: Uint8Array): Header {
  return JSON.parse(Buffer.from(payload.subarray(PREFIX_BYTES, bodiesAt(payload))).toString('utf8')) as Header
}

function changed(payload: Uint8Array, change: (header: Header) => Header): Uint8Array {
  const header = Buffer.from(JSON.stringify(change(headerIn(payload))))
  const bodies = payload.subarray(bodiesAt(payload))
  const bytes = new Uint8Array(PREFIX_BYTES + header.length + bodies.length)
  bytes[0] = payload[0] ?? 0
  new DataView(bytes.buffer).setUint32(1, header.length)
  bytes.set(header, PREFIX_BYTES)
  bytes.set(bodies, PREFIX_BYTES + header.length)
  return bytes
}

function bodiesAt(payload: Uint8Array): number {
  return PREFIX_BYTES + new DataView(payload.buffer, payload.byteOffset).getUint32(1)
}
