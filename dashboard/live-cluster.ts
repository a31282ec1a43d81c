import {
  ClientError,
  createClient,
  type Client,
  type ClusterEvent,
  type ClusterView,
  type EstimateDocument,
  type HistoryDocument,
} from '#client'
import { appended, NOTHING_CHARTED, type Charted } from './series.ts'
import { holderOf } from './topology.ts'

/** What the page shows: the newest answers of one agent. Absent: not answered yet. */
export type Live = {
  readonly view?: ClusterView
  /** When the newest view came, on the browser's clock. */
  readonly seenAt: number
  /** Why the last question had no answer; absent while it has. */
  readonly silence?: string
  readonly charted: Charted
  readonly events: readonly ClusterEvent[]
  readonly history?: HistoryDocument
  readonly estimate?: EstimateDocument
}

const VIEW_EVERY_MS = 1000
/** While nobody is primary people watch every step. */
const VIEW_IN_A_HURRY_MS = 200
const PAST_EVERY_MS = 2000
const ANSWER_MS = 3000
const EVENTS_MAX = 300

const TOKEN_KEY = 'pg-metako token'

/** Asks the agent that served the page, again and again, while somebody looks; and holds the token of this tab. */
export class LiveCluster {
  #live: Live = { seenAt: 0, charted: NOTHING_CHARTED, events: [] }
  #client: Client
  #after = 0
  #asksPast = false
  #historyOf = ''
  readonly #listeners = new Set<() => void>()

  constructor() {
    this.#client = clientWith(this.token)
  }

  get live(): Live {
    return this.#live
  }

  get client(): Client {
    return this.#client
  }

  get token(): string | undefined {
    return sessionStorage.getItem(TOKEN_KEY) ?? undefined
  }

  /** True when the agent takes this token; only then it is kept, for as long as the tab is open. */
  async unlock(token: string): Promise<boolean> {
    const client = clientWith(token)
    try {
      await client.config()
    } catch (error) {
      if (error instanceof ClientError && error.status === 401) return false
      throw error
    }
    sessionStorage.setItem(TOKEN_KEY, token)
    this.#client = client
    this.#change({})
    return true
  }

  forgetToken(): void {
    sessionStorage.removeItem(TOKEN_KEY)
    this.#client = clientWith(undefined)
    this.#change({})
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  start(): void {
    void this.#askView()
    void this.#askPast()
    document.addEventListener('visibilitychange', () => {
      if (!document.hidden) void this.#askPast()
    })
  }

  #change(news: Partial<Live>): void {
    this.#live = { ...this.#live, ...news }
    for (const listener of this.#listeners) listener()
  }

  async #askView(): Promise<void> {
    if (!document.hidden) {
      try {
        const view = await this.#client.view({ timeoutMs: ANSWER_MS })
        const { silence: _over, ...live } = this.#live
        this.#live = live
        this.#change({ view, seenAt: Date.now() })
        void this.#askHistory(view)
      } catch (error) {
        this.#change({ silence: error instanceof Error ? error.message : String(error) })
      }
    }
    const { view, silence } = this.#live
    const isHurried = silence === undefined && view?.record !== undefined && holderOf(view) === undefined
    setTimeout(() => void this.#askView(), isHurried ? VIEW_IN_A_HURRY_MS : VIEW_EVERY_MS)
  }

  async #askPast(): Promise<void> {
    if (this.#asksPast) return
    this.#asksPast = true
    try {
      if (!document.hidden) await this.#readPast()
    } catch {
      // The view says that the agent is silent.
    } finally {
      this.#asksPast = false
    }
    setTimeout(() => void this.#askPast(), PAST_EVERY_MS)
  }

  async #readPast(): Promise<void> {
    const [recent, estimate] = await Promise.all([
      this.#client.recent(this.#after, { timeoutMs: ANSWER_MS }),
      this.#client.estimate({ timeoutMs: ANSWER_MS }),
    ])
    if (recent.next < this.#after) {
      // Another life of the agent: its numbers begin anew.
      this.#after = 0
      this.#change({ charted: NOTHING_CHARTED, events: [] })
      return
    }
    this.#after = recent.next
    this.#change({
      estimate,
      charted: appended(this.#live.charted, recent),
      events: [...this.#live.events, ...recent.events].slice(-EVENTS_MAX),
    })
  }

  /** Only when an epoch began or ended, or a loss was found: it changes at no other time. */
  async #askHistory(view: ClusterView): Promise<void> {
    const key = JSON.stringify([view.record?.epoch, view.record?.state, view.losses.length])
    if (key === this.#historyOf) return
    this.#historyOf = key
    try {
      const history = await this.#client.epochs({ timeoutMs: ANSWER_MS })
      this.#change({ history })
      // The new primary writes its record down a moment after it has opened its epoch.
      const isWritten =
        view.record?.state !== 'open' ||
        view.record.reason === 'BOOTSTRAP' ||
        history.failovers.some(({ epoch }) => epoch === view.record?.epoch)
      if (!isWritten) this.#historyOf = ''
    } catch {
      this.#historyOf = ''
    }
  }
}

function clientWith(token: string | undefined): Client {
  const url = new URL('..', location.href).href
  return createClient({ url, ...(token === undefined ? {} : { token }) })
}
