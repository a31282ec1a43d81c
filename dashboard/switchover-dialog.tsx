import { useState } from 'preact/hooks'
import type { DialogProps } from './asked.ts'
import { duration, plural } from './format.ts'
import { Order, Price } from './order.tsx'
import { holderOf } from './topology.ts'

export function SwitchoverDialog({ cluster, view, ask, to }: DialogProps & { readonly to?: string }) {
  const holder = holderOf(view)
  const { history, estimate } = cluster.live
  const candidates = estimate?.candidates ?? []
  const [chosen, choose] = useState(to ?? '')
  const planned = (history?.failovers ?? []).filter(({ reason }) => reason === 'SWITCHOVER')
  const took = planned.map(({ steps }) => steps.at(-1)?.atMs ?? 0).toSorted((one, other) => one - other)
  const median = took[Math.floor(took.length / 2)]
  const name = chosen === '' ? 'the best standby' : chosen
  return (
    <Order
      title="Switchover"
      button={`Make ${name} primary`}
      isRefused={holder === undefined || candidates.every(({ why }) => why !== undefined)}
      cancel={() => ask(undefined)}
      order={async () => {
        const result = await cluster.client.switchover({
          ...(holder === undefined ? {} : { leader: holder }), // Patroni's word for it.
          ...(chosen === '' ? {} : { candidate: chosen }),
        })
        return `${result.to} is primary since epoch ${result.epoch}; ${result.from} follows. It took ${duration(result.tookMs)}.`
      }}
    >
      <p>
        {holder === undefined
          ? 'There is no primary to hand over now.'
          : `${holder} hands its right over and follows the next primary.`}
      </p>
      <fieldset class="candidates">
        <legend>Who takes over</legend>
        <label>
          <input type="radio" name="to" checked={chosen === ''} onChange={() => choose('')} />
          the best standby
        </label>
        {candidates.map(({ name: candidate, why }) => (
          <label key={candidate} class={why === undefined ? '' : 'unfit'}>
            <input
              type="radio"
              name="to"
              value={candidate}
              disabled={why !== undefined}
              checked={chosen === candidate}
              onChange={() => choose(candidate)}
            />
            {candidate} {why && <small>{why}</small>}
          </label>
        ))}
      </fieldset>
      <Price
        items={[
          median === undefined
            ? 'Writes stand still for a moment: usually some tenths of a second.'
            : `Writes stand still for about ${duration(median)} (${plural(took.length, 'switchover')} here).`,
          'Through the routers: statements wait, running transactions get 2 s to end, then they are ended with an error.',
          'Connections that go past the routers are closed.',
          'No acknowledged commit is lost.',
        ]}
      />
    </Order>
  )
}
