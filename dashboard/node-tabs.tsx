import type { ClusterView, ConfigDocument } from '#client'
import { useEffect, useState } from 'preact/hooks'
import type { Asked } from './asked.ts'
import { clock } from './format.ts'
import type { Live, LiveCluster } from './live-cluster.ts'

const TABS = ['Events', 'Log', 'Configuration'] as const
type Tab = (typeof TABS)[number]
type Props = { cluster: LiveCluster; live: Live; view: ClusterView; ask: (asked: Asked) => void }

/** What this one node saw, wrote into its log, and works by. */
export function NodeTabs(props: Props) {
  const { cluster, live, view, ask } = props
  const [tab, setTab] = useState<Tab>('Events')
  const isOpen = cluster.token !== undefined
  return (
    <section class="card node-tabs" aria-label={`What ${view.self} says`}>
      <div class="card-head">
        <div class="choice" role="group" aria-label={`Of ${view.self}`}>
          {TABS.map((one) => (
            <button key={one} type="button" aria-pressed={one === tab} onClick={() => setTab(one)}>
              {one}
            </button>
          ))}
        </div>
        <span class="at">of {view.self}</span>
      </div>
      {tab === 'Events' && <Events live={live} />}
      {tab !== 'Events' && !isOpen && (
        <p class="empty">
          More than strangers need to know:{' '}
          <button type="button" onClick={() => ask({ kind: 'token' })}>
            enter the token
          </button>
        </p>
      )}
      {tab === 'Log' && isOpen && <Log cluster={cluster} />}
      {tab === 'Configuration' && isOpen && <Configuration cluster={cluster} ask={ask} />}
    </section>
  )
}

function Events({ live }: { live: Live }) {
  if (live.events.length === 0) return <p class="empty">Nothing has changed since this agent was started.</p>
  return (
    <ol class="events" tabIndex={0} aria-label="Events, newest first">
      {live.events.toReversed().map(({ number, at, severity, text }) => (
        <li key={number} class={`tone-${severity}`}>
          <time dateTime={at}>{clock(Date.parse(at))}</time>
          <span>{text}</span>
        </li>
      ))}
    </ol>
  )
}

type Line = { readonly number: number; readonly level: string; readonly time: string; readonly text: string }
const LINES_MAX = 300
const LOG_EVERY_MS = 2000

function Log({ cluster }: { cluster: LiveCluster }) {
  const [lines, setLines] = useState<readonly Line[]>([])
  useEffect(() => {
    let after = 0
    const read = async () => {
      const document = await cluster.client.log(after).catch(() => undefined)
      if (!document) return
      const first = document.next - document.lines.length + 1
      const isAnew = document.next < after
      after = isAnew ? 0 : document.next
      const news = document.lines.map((text, index) => lineOf(text, first + index))
      setLines((before) => (isAnew ? [] : [...before, ...news].slice(-LINES_MAX)))
    }
    void read()
    const timer = setInterval(() => void read(), LOG_EVERY_MS)
    return () => clearInterval(timer)
  }, [cluster])
  return (
    <ol class="log" tabIndex={0} aria-label="Log, newest first">
      {lines.toReversed().map(({ number, level, time, text }) => (
        <li key={number} class={`level-${level.toLowerCase()}`}>
          <time>{time}</time> {text}
        </li>
      ))}
    </ol>
  )
}

function lineOf(json: string, number: number): Line {
  try {
    const { time, level, msg, ...fields } = JSON.parse(json) as Record<string, unknown>
    const rest = Object.entries(fields).map(
      ([key, value]) => `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
    )
    return {
      number,
      level: String(level),
      time: clock(Date.parse(String(time))),
      text: [String(msg), ...rest].join('  '),
    }
  } catch {
    return { number, level: 'info', time: '', text: json }
  }
}

function Configuration({ cluster, ask }: { cluster: LiveCluster; ask: (asked: Asked) => void }) {
  const [config, setConfig] = useState<ConfigDocument | undefined>(undefined)
  const [wanted, setWanted] = useState('')
  useEffect(() => {
    cluster.client.config().then(setConfig, () => setConfig(undefined))
  }, [cluster])
  const settings = config?.settings.filter(({ key }) => key.includes(wanted.trim().toLowerCase())) ?? []
  return (
    <>
      <div class="config-tools">
        <input
          type="search"
          placeholder="Find a key"
          aria-label="Find a key"
          value={wanted}
          onInput={(event) => setWanted(event.currentTarget.value)}
        />
        <button type="button" onClick={() => ask({ kind: 'reload' })}>
          Reload …
        </button>
      </div>
      <div class="config" tabIndex={0}>
        <table>
          <tbody>
            {settings.map(({ key, value, from }) => (
              <tr key={key} class={from === 'default' ? 'is-default' : ''}>
                <th scope="row">{key}</th>
                <td>{value ?? <i>not set</i>}</td>
                <td class="from">{from}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </>
  )
}
