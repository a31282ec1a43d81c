import type { ClusterView } from '#client'
import { useState } from 'preact/hooks'
import type { Asked } from './asked.ts'
import { duration } from './format.ts'
import type { LiveCluster } from './live-cluster.ts'
import { applyTheme, currentTheme, themeAfter } from './theme.ts'

const SIGNS = { auto: '◐', light: '☀', dark: '☾' } as const

type Props = { cluster: LiveCluster; view: ClusterView; ask: (asked: Asked) => void }

export function Header({ cluster, view, ask }: Props) {
  const [theme, setTheme] = useState(currentTheme())
  const { silence, seenAt } = cluster.live
  const isOpen = cluster.token !== undefined
  const turn = () => {
    const next = themeAfter(theme)
    applyTheme(next)
    setTheme(next)
  }
  return (
    <header>
      <div class="brand">
        <img src="icon.svg" width="26" height="26" alt="" />
        <h1>
          {view.scope}
          <span class="product">pg-metako</span>
        </h1>
      </div>
      <nav aria-label="Dashboards of the nodes" class="nodes">
        {view.members.map(({ facts, reachable }) => (
          <a
            key={facts.name}
            href={facts.name === view.self ? '#' : `${facts.apiUrl.replace(/\/+$/, '')}/dashboard/`}
            aria-current={facts.name === view.self ? 'page' : undefined}
            class={reachable ? '' : 'silent'}
            title={facts.name === view.self ? 'This page is drawn by this node' : `As ${facts.name} sees it`}
          >
            {facts.name}
          </a>
        ))}
      </nav>
      <div class="tools">
        <span class={`pulse ${silence === undefined ? 'is-live' : 'is-silent'}`} role="status">
          {silence === undefined ? 'live' : `${duration(Math.max(0, Date.now() - seenAt))} old`}
        </span>
        <button
          type="button"
          class="quiet"
          onClick={turn}
          aria-label={`Colours: ${theme}`}
          title={`Colours: ${theme}`}
        >
          {SIGNS[theme]}
        </button>
        <button type="button" class={isOpen ? 'unlocked' : ''} onClick={() => ask({ kind: 'token' })}>
          {isOpen ? 'Actions on' : 'Read only'}
        </button>
      </div>
    </header>
  )
}
