import type { DialogProps } from './asked.ts'
import { listed, plural } from './format.ts'
import { Order, Price } from './order.tsx'
import { holderOf } from './topology.ts'

export function ReinitDialog({ cluster, view, ask, name }: DialogProps & { readonly name: string }) {
  const holder = holderOf(view)
  const others = view.streams
    .filter(({ to, state }) => to !== name && state === 'streaming')
    .map(({ to }) => to)
  return (
    <Order
      title={`Clone ${name} anew`}
      button="Replace its data"
      isDangerous
      confirmWith={name}
      cancel={() => ask(undefined)}
      order={async () => {
        const result = await cluster.client.reinit(name)
        return `Asked: ${result.name} clones ${result.from} as soon as no commit hangs on its data.`
      }}
    >
      <p>
        The data directory of {name} is replaced by a copy of {holder ?? 'the primary'}; the old one is
        removed when that has come through.
      </p>
      <Price
        items={[
          `${name} serves no reads and takes nothing over until the copy is complete.`,
          others.length === 0
            ? 'No other standby streams: until it is back there is one copy only.'
            : `${listed(others)} ${others.length === 1 ? 'goes' : 'go'} on meanwhile.`,
          `All data goes over the network once, and is read from the disk of ${holder ?? 'the primary'}.`,
        ]}
      />
    </Order>
  )
}

export function RemoveDialog({ cluster, view, ask, name }: DialogProps & { readonly name: string }) {
  const voters = view.consensus.voters.filter((voter) => voter !== name)
  const majority = Math.floor(voters.length / 2) + 1
  return (
    <Order
      title={`Remove ${name} from the cluster`}
      button={`Remove ${name}`}
      isDangerous
      confirmWith={name}
      cancel={() => ask(undefined)}
      order={async () => {
        const { consensus, remaining } = await cluster.client.removeMember(name)
        const rest = consensus === 'pending' ? '; the others go on taking it out of consensus' : ''
        return `${name} is removed; ${listed(remaining)} ${remaining.length === 1 ? 'votes' : 'vote'} now${rest}.`
      }}
    >
      <p>
        Its PostgreSQL is stopped and its data is kept. It comes back as a new member only, by an invitation.
      </p>
      <Price
        items={[
          `${plural(voters.length, 'voter')} ${voters.length === 1 ? 'is' : 'are'} left: ${majority} of them must answer for anything to be decided.`,
          voters.length === 2 ? 'With two voters the loss of either one stops all take-overs.' : undefined,
        ]}
      />
    </Order>
  )
}

/** Only a person can know it; it is asked for where nobody else can prove that a lost primary has ended. */
export function ConfirmDownDialog({ cluster, ask, name }: DialogProps & { readonly name: string }) {
  return (
    <Order
      title={`PostgreSQL of ${name} is down`}
      button="It is down for sure"
      isDangerous
      confirmWith={name}
      cancel={() => ask(undefined)}
      order={async () => {
        const result = await cluster.client.confirmDown(name)
        return `${result.name} is taken for down: another member takes over from epoch ${result.epoch}.`
      }}
    >
      <p>Its guard was gone when it was heard last, so the others cannot know whether it still writes.</p>
      <Price
        items={[
          `If PostgreSQL still runs on ${name}, two primaries will write and one of them loses all of it.`,
          'Make sure first: switch that host off, or look at its processes.',
        ]}
      />
    </Order>
  )
}

export function ReloadDialog({ cluster, view, ask }: DialogProps) {
  return (
    <Order
      title={`Reload the configuration of ${view.self}`}
      button="Reload"
      cancel={() => ask(undefined)}
      order={async () => {
        const { changed, needsRouterRestart, needsRestart } = await cluster.client.reload()
        const keys = [...changed, ...needsRouterRestart, ...needsRestart]
        if (keys.length === 0) return 'Read again: nothing has changed.'
        const waiting = [
          ['Waits for pg-metako router restart', needsRouterRestart] as const,
          ['Waits for a restart', needsRestart] as const,
        ].map(([what, names]) => (names.length === 0 ? '' : ` ${what}: ${names.join(', ')}.`))
        return `In force now: ${changed.join(', ') || 'nothing'}.${waiting.join('')}`
      }}
    >
      <p>Its file is read again, on this node alone. A file with a mistake changes nothing.</p>
    </Order>
  )
}
