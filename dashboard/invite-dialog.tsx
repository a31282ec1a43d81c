import { useState } from 'preact/hooks'
import type { DialogProps } from './asked.ts'
import { clock } from './format.ts'
import { Order, Price } from './order.tsx'

export function InviteDialog({ cluster, ask }: DialogProps) {
  const [name, setName] = useState('')
  const [host, setHost] = useState('')
  const [port, setPort] = useState('8008')
  const field = (label: string, value: string, set: (value: string) => void) => (
    <label class="field">
      {label}
      <input
        value={value}
        required
        autoComplete="off"
        spellcheck={false}
        onInput={(event) => set(event.currentTarget.value)}
      />
    </label>
  )
  return (
    <Order
      title="Add a member"
      button="Invite it"
      cancel={() => ask(undefined)}
      order={async () => {
        const { token, expiresAt, urls } = await cluster.client.invite({
          name,
          apiHost: host,
          apiPort: Number(port),
        })
        return (
          <>
            Run this on the new host, until {clock(Date.parse(expiresAt))}; it works once:
            <code class="command">
              pg-metako join --url {urls.join(',')} --token {token}
            </code>
          </>
        )
      }}
    >
      <p>An invitation is made for one node. Nothing changes until it joins.</p>
      <div class="fields">
        {field('Name', name, setName)}
        {field('Address of its host', host, setHost)}
        {field('Port of its API', port, setPort)}
      </div>
      <Price items={['When it joins it clones the data once, and gets a vote when it has caught up.']} />
    </Order>
  )
}
