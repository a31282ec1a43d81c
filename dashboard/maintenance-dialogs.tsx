import type { DialogProps } from './asked.ts'
import { duration } from './format.ts'
import { Order, Price } from './order.tsx'
import { holderOf } from './topology.ts'

/** Nobody acts by itself from then on, or everybody does again. */
export function PauseDialog({ cluster, view, ask }: DialogProps) {
  const isPaused = view.paused === true
  return (
    <Order
      title={isPaused ? 'Resume' : 'Pause the cluster'}
      button={isPaused ? 'Resume' : 'Pause'}
      isDangerous={!isPaused}
      cancel={() => ask(undefined)}
      order={async () => {
        await cluster.client.patchConfig({ pause: isPaused ? null : true })
        return isPaused ? 'Take-overs happen again.' : 'Paused: nobody acts by itself until it is resumed.'
      }}
    >
      {isPaused ? (
        <p>Take-overs happen again, what is down is started, and the primary’s guard holds a deadline.</p>
      ) : (
        <>
          <p>For work on hosts, networks or PostgreSQL itself.</p>
          <Price
            items={[
              'Nobody takes over: if the primary fails, writes stop until somebody resumes.',
              'What stops stays down. A switchover that you ask for is done.',
            ]}
          />
        </>
      )}
    </Order>
  )
}

export function RestartDialog({ cluster, view, ask, name }: DialogProps & { readonly name: string }) {
  const isHolder = holderOf(view) === name
  return (
    <Order
      title={`Restart PostgreSQL of ${name}`}
      button="Restart"
      cancel={() => ask(undefined)}
      order={async () => {
        const { tookMs } = await cluster.client.restart(name)
        return `${name} runs again after ${duration(tookMs)}.`
      }}
    >
      <p>Its PostgreSQL is stopped and started again, in place; nobody takes over meanwhile.</p>
      <Price
        items={
          isHolder
            ? [
                'Writes wait in the routers until it runs again; sessions end where a transaction ends.',
                'For a shorter stall: a switchover first, then restart it as a standby.',
              ]
            : ['It serves no reads meanwhile; routers lead them elsewhere.']
        }
      />
    </Order>
  )
}
