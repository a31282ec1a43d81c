import { describe, expect, it } from 'vitest'
import { messageType } from '../../src/wire/frame.ts'
import { codecTargets, MESSAGES_PER_SEED, runCodecSeed } from './codec.ts'
import { mutate, startupPacket } from './messages.ts'
import { seededRandom } from '../support/seeded-random.ts'

describe('the codec under mutated messages', () => {
  it.each(codecTargets.map(({ name }) => name))('%s reads them as one plain reading does', (name) => {
    const targets = codecTargets.filter((target) => target.name === name)
    for (let seed = 1; seed <= 5; seed += 1) expect(runCodecSeed(seed, targets)).toBeUndefined()
  })

  it('is a value of its seed', () => {
    const bytesOf = (seed: number): string[] => {
      const seen: string[] = []
      runCodecSeed(seed, [{ name: 'notes', run: ({ bytes }) => void seen.push(bytes.toString('hex')) }])
      return seen
    }
    expect(bytesOf(7)).toEqual(bytesOf(7))
    expect(bytesOf(7)).not.toEqual(bytesOf(8))
    expect(bytesOf(7).length).toBeGreaterThan(MESSAGES_PER_SEED / 10)
  })

  it('a target that throws, and one that reads past a message, are told with their seed', () => {
    const throwing = {
      name: 'throwing',
      run: ({ bytes }: { readonly bytes: Buffer }) => void bytes.readInt32BE(bytes.length - 3),
    }
    expect(runCodecSeed(3, [throwing])).toMatchObject({ seed: 3, target: 'throwing' })
    const planted = {
      name: 'planted',
      run: ({ bytes }: { readonly bytes: Buffer }) => {
        if (bytes.includes(messageType('Z'))) throw new Error('planted')
      },
    }
    expect(runCodecSeed(4, [planted])?.what).toContain('planted')
  })

  it('mutations of a startup packet are mostly none', () => {
    const random = seededRandom(1)
    const originals = Array.from({ length: 200 }, () => startupPacket(random))
    const changed = originals.filter((original) => !mutate(random, original).equals(original))
    expect(changed.length).toBeGreaterThan(150)
  })
})
