import { collectDefaultMetrics, Counter, Gauge, Registry } from 'prom-client'

export type MetricSample = { readonly labels?: Readonly<Record<string, string>>; readonly value: number }

/** One metric with all its samples. A counter's value is its total. Without samples only HELP and TYPE are shown. */
export type MetricFamily = {
  readonly name: string
  readonly help: string
  readonly kind: 'gauge' | 'counter'
  readonly samples: readonly MetricSample[]
}

/** What Prometheus reads. Parts do not push numbers: they add a source, which is read when somebody scrapes. */
export type Metrics = {
  addSource(read: () => readonly MetricFamily[]): void
  /** The text format 0.0.4. A source that throws costs its own families, not the page. */
  render(): Promise<string>
  readonly contentType: string
}

export type MetricsOptions = {
  /** Adds those of this process: CPU, memory, file descriptors, event loop lag, garbage collection. */
  readonly ofProcess: boolean
}

/** Each look wakes the process, at the usual 10 ms a hundred times a second. */
const LOOP_LAG_EVERY_MS = 100

export function createMetrics(options: MetricsOptions): Metrics {
  const ofProcess = new Registry()
  if (options.ofProcess) {
    const eventLoopMonitoringPrecision = LOOP_LAG_EVERY_MS
    collectDefaultMetrics({ register: ofProcess, prefix: 'pg_metako_', eventLoopMonitoringPrecision })
  }
  const sources: (() => readonly MetricFamily[])[] = []
  return {
    addSource: (read) => {
      sources.push(read)
    },
    render: async () => {
      const families = sources.flatMap(readOrNothing)
      return [await renderFamilies(families), options.ofProcess ? await ofProcess.metrics() : '']
        .filter((text) => text.trim() !== '')
        .join('\n')
    },
    contentType: ofProcess.contentType,
  }
}

function readOrNothing(read: () => readonly MetricFamily[]): readonly MetricFamily[] {
  try {
    return read()
  } catch {
    return []
  }
}

/** A registry for each scrape: the samples are facts read just now, and a label that is gone must not linger. */
async function renderFamilies(families: readonly MetricFamily[]): Promise<string> {
  const registry = new Registry()
  for (const family of mergedByName(families)) {
    const samples = family.samples.filter((sample) => Number.isFinite(sample.value))
    const labelNames = [...new Set(samples.flatMap((sample) => Object.keys(sample.labels ?? {})))]
    const settings = { name: family.name, help: family.help, labelNames, registers: [registry] }
    if (family.kind === 'counter') {
      const counter = new Counter(settings)
      for (const sample of samples) counter.inc({ ...sample.labels }, Math.max(0, sample.value))
    } else {
      const gauge = new Gauge(settings)
      for (const sample of samples) gauge.set({ ...sample.labels }, sample.value)
    }
  }
  return await registry.metrics()
}

/** Two sources may each know some samples of one metric; Prometheus refuses a page that names a metric twice. */
function mergedByName(families: readonly MetricFamily[]): Iterable<MetricFamily> {
  const byName = new Map<string, MetricFamily>()
  for (const family of families) {
    const earlier = byName.get(family.name)
    const samples = earlier ? [...earlier.samples, ...family.samples] : family.samples
    byName.set(family.name, { ...family, samples })
  }
  return byName.values()
}
