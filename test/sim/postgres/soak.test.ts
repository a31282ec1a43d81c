import { expect, it } from 'vitest'
import { RandomStream } from '../random-stream.ts'
import { connectClient } from './client-session.ts'
import { Stage } from './stage.ts'

const NAMES = ['n1', 'n2', 'n3'] as const
const SEEDS = 12
const THINK_MS = 25
const FAULTS = 25

/** Puts whatever lies down, or stands still, back on its feet. */
async function mend(stage: Stage, primary: string): Promise<void> {
  stage.heal()
  for (const name of [primary, ...NAMES.filter((one) => one !== primary)]) {
    const host = stage.host(name)
    host.resume()
    host.freeze(false)
    host.resumeReplay()
    host.setDiskFault(undefined)
    if (!host.isPowered) await stage.powerUp(name)
    const upstream = stage.host(primary).address
    if (name === primary) await stage.finish(stage.instance(name).start('primary'))
    else await stage.finish(stage.instance(name).start('standby', upstream))
  }
}

function harm(stage: Stage, name: string, chance: RandomStream): void {
  const host = stage.host(name)
  const other = chance.pick(NAMES.filter((one) => one !== name))
  switch (chance.below(9)) {
    case 0:
      host.killAll()
      return
    case 1:
      host.losePower()
      return
    case 2:
      return stage.cutBoth(name, other)
    case 3:
      return stage.cut(name, other)
    case 4:
      host.pause()
      return
    case 5:
      host.freeze(true)
      return
    case 6:
      host.killPostmaster()
      return
    case 7:
      host.pauseReplay()
      return
    default:
      host.setDiskFault(
        chance.pick([{ kind: 'stalled' }, { kind: 'slow', extraMs: 300 }, { kind: 'io-error' }]),
      )
  }
}

/** Inserts without end, one after the other, and connects again when it must. */
function write(stage: Stage, to: string): () => void {
  let token = 0
  let isOver = false
  const session = (): void => {
    if (isOver) return
    const again = (): void => void stage.time.after(20, session)
    connectClient(
      stage.world,
      { from: 'client', to: stage.host(to).address },
      {
        refused: again,
        opened: (open) => {
          const next = (): void => {
            token += 1
            if (isOver) open.close()
            else
              open.insert(token, (outcome) => {
                if (outcome.kind === 'complete') stage.time.after(THINK_MS, next)
              })
          }
          open.onLost = again
          next()
        },
      },
    )
  }
  session()
  return () => {
    isOver = true
  }
}

it('whatever happens to hosts and paths, what was acknowledged stays, and everybody has it in the end', async () => {
  for (let seed = 1; seed <= SEEDS; seed += 1) {
    const chance = new RandomStream(seed, 'soak')
    const stage = new Stage({ seed })
    const options = { useSlots: chance.chance(0.5), segmentBytes: 256 * 1024 }
    for (const name of NAMES) stage.addHost(name, options)
    await stage.cluster(NAMES)
    stage.host('n1').configure({ synchronousNames: chance.pick(['', 'ANY 1 (n2, n3)', 'FIRST 2 (n2, n3)']) })
    stage.host('n1').reload()
    const stop = write(stage, 'n1')
    for (let fault = 0; fault < FAULTS; fault += 1) {
      await stage.pass(chance.exponential(400))
      harm(stage, chance.pick(NAMES), chance)
      if (chance.chance(0.4)) {
        await stage.pass(chance.exponential(3000))
        await mend(stage, 'n1')
      }
    }
    await mend(stage, 'n1')
    await stage.pass(12_000)
    stop()
    for (const name of ['n2', 'n3']) await stage.caughtUp(name, 'n1')
    const rows = await stage.tokens('n1')
    const seen = new Set(rows)
    const lost = stage.acknowledgements.filter(({ token }) => !seen.has(token))
    expect({ seed, lost }).toEqual({ seed, lost: [] })
    expect({ seed, twice: rows.length - seen.size }).toEqual({ seed, twice: 0 })
    for (const name of ['n2', 'n3']) {
      expect({ seed, rows: [...(await stage.tokens(name))].sort((a, b) => a - b) }).toEqual({
        seed,
        rows: [...rows].sort((a, b) => a - b),
      })
    }
  }
})
