import { describe, expect, it } from 'vitest'
import { createMetrics, type MetricFamily } from './metrics.ts'

const family = (name: string, samples: MetricFamily['samples']): MetricFamily => ({
  name,
  help: 'Help.',
  kind: 'gauge',
  samples,
})

describe('metrics', () => {
  it('reads its sources anew on every scrape', async () => {
    const metrics = createMetrics({ ofProcess: false })
    let value = 1
    metrics.addSource(() => [family('a', [{ labels: { name: 'n"1\n' }, value: value++ }])])
    expect(await metrics.render()).toBe('# HELP a Help.\n# TYPE a gauge\na{name="n\\"1\\n"} 1\n')
    expect(await metrics.render()).toContain('} 2')
  })

  it('shows the other families when one source fails', async () => {
    const metrics = createMetrics({ ofProcess: false })
    metrics.addSource(() => {
      throw new Error('not ready')
    })
    metrics.addSource(() => [family('b', [{ value: 5 }])])
    expect(await metrics.render()).toContain('b 5')
  })

  it('never names a metric twice and leaves out what is not a number', async () => {
    const metrics = createMetrics({ ofProcess: false })
    metrics.addSource(() => [family('c', [{ labels: { port: 'x' }, value: 1 }])])
    metrics.addSource(() => [family('c', [{ labels: { port: 'y' }, value: Number.NaN }])])
    const page = await metrics.render()
    expect(page.match(/# TYPE c /g)).toHaveLength(1)
    expect(page).not.toContain('NaN')
  })

  it('tells of the process itself: memory and event loop lag', async () => {
    const page = await createMetrics({ ofProcess: true }).render()
    expect(page).toContain('pg_metako_nodejs_eventloop_lag_seconds')
    expect(page).toContain('pg_metako_process_resident_memory_bytes')
  })
})
