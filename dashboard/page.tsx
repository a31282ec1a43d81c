import { useEffect, useReducer, useState } from 'preact/hooks'
import type { LiveCluster } from './live-cluster.ts'
import { Charts } from './charts.tsx'
import type { Asked } from './asked.ts'
import { Dialogs } from './dialogs.tsx'
import { Failovers } from './failovers.tsx'
import { Header } from './header.tsx'
import { Hero } from './hero.tsx'
import { useKeys } from './keys.ts'
import { NodeTabs } from './node-tabs.tsx'
import { TopologyCard } from './topology-card.tsx'
import { holderOf } from './topology.ts'
import { verdictOf } from './verdict.ts'

export function Page({ cluster }: { cluster: LiveCluster }) {
  const [, redraw] = useReducer((count: number) => count + 1, 0)
  const [asked, ask] = useState<Asked | undefined>(undefined)
  useEffect(() => cluster.onChange(() => redraw(undefined)), [cluster])
  // Ages grow also while nothing is heard.
  useEffect(() => {
    const timer = setInterval(() => redraw(undefined), 1000)
    return () => clearInterval(timer)
  }, [])
  useKeys({ cluster, ask, isBusy: asked !== undefined })
  const { live } = cluster
  const { view } = live
  useEffect(() => {
    if (view) document.title = titleOf(verdictOf(view).tone, holderOf(view), view.scope)
  })
  if (!view) return <p class="loading">{live.silence ?? 'Asking this node …'}</p>
  return (
    <>
      <a class="skip" href="#members">
        Skip to the members
      </a>
      <Header cluster={cluster} view={view} ask={ask} />
      <main>
        <Hero live={live} view={view} />
        <TopologyCard view={view} live={live} mayAct={cluster.token !== undefined} ask={ask} />
        <Charts live={live} view={view} />
        <div class="columns">
          <Failovers live={live} view={view} />
          <NodeTabs cluster={cluster} live={live} view={view} ask={ask} />
        </div>
      </main>
      <footer>
        <span>
          pg-metako {view.members.find(({ facts }) => facts.name === view.self)?.facts.version} · seen from{' '}
          {view.self}
        </span>
        <span class="keys-hint">
          <kbd>?</kbd> keys
        </span>
      </footer>
      <Dialogs asked={asked} ask={ask} cluster={cluster} view={view} />
    </>
  )
}

function titleOf(tone: string, holder: string | undefined, scope: string): string {
  const sign = { good: '●', warning: '▲', critical: '✖' }[tone] ?? '○'
  return `${sign} ${holder ?? 'no primary'} – ${scope}`
}
