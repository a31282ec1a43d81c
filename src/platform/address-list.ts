import { lookup } from 'node:dns/promises'
import { BlockList, isIP } from 'node:net'
import { monotonicMs } from './clock.ts'
import { pause } from './timers.ts'

/** A name means the same addresses for so long: who asks for much must not make a name server work for each. */
const NAME_KEPT_MS = 10_000
const LOOKUP_MS = 1_000

type Found = { readonly addresses: Promise<readonly string[]>; readonly until: number }

/** Tells whether an address is one of a list of addresses, networks and host names. */
export class AddressList {
  readonly #found = new Map<string, Found>()

  /** `entries` may be others at every call. A name that cannot be resolved within a second has no address. */
  async has(address: string, entries: readonly string[]): Promise<boolean> {
    const fixed = entries.filter((entry) => isIP(entry.split('/')[0] ?? '') !== 0)
    if (isAmong(address, fixed)) return true
    const names = entries.filter((entry) => !fixed.includes(entry))
    const found = await Promise.all(names.map((name) => this.#resolve(name)))
    return isAmong(address, found.flat())
  }

  /** One question serves all who ask meanwhile. */
  #resolve(name: string): Promise<readonly string[]> {
    const now = monotonicMs()
    for (const [old, { until }] of this.#found) if (until <= now) this.#found.delete(old)
    const kept = this.#found.get(name)
    if (kept) return kept.addresses
    const addresses = addressesOf(name)
    this.#found.set(name, { addresses, until: now + NAME_KEPT_MS })
    return addresses
  }
}

async function addressesOf(name: string): Promise<readonly string[]> {
  const asked = lookup(name, { all: true }).catch(() => [])
  const answers = (await Promise.race([asked, pause(LOOKUP_MS)])) ?? []
  return answers.map(({ address }) => address)
}

function isAmong(address: string, entries: readonly string[]): boolean {
  const list = new BlockList()
  for (const entry of entries) {
    const [network = '', bits] = entry.split('/')
    const family = familyOf(network)
    if (bits === undefined) list.addAddress(network, family)
    else list.addSubnet(network, Number(bits), family)
  }
  // An IPv4 client of a socket that takes both is seen as ::ffff:10.0.0.1, which this finds among IPv4 entries.
  return isIP(address) !== 0 && list.check(address, familyOf(address))
}

function familyOf(address: string): 'ipv4' | 'ipv6' {
  return isIP(address) === 6 ? 'ipv6' : 'ipv4'
}
