import { join } from 'node:path'
import type { ClusterView, HistoryDocument, RecentDocument } from '#client'
import type { Browser, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { bytes, duration } from '../../dashboard/format.ts'
import { readSecret, secretFiles } from '../../src/cli/demo/demo-secrets.ts'
import { readDashboard } from '../../src/agent/dashboard-files.ts'
import { createApiServer } from '../../src/api/server.ts'
import { silentLogger } from '../../src/platform/log.ts'
import { createMetrics } from '../../src/platform/metrics.ts'
import { launchBrowser, visit, type Visit } from '../support/browser.ts'
import { DemoFolder } from '../support/demo-process.ts'
import { eventually } from '../support/eventually.ts'
import { FakeOperations } from '../support/fake-operations.ts'
import { withClient } from '../support/numbered-writer.ts'
import { REPOSITORY_ROOT } from '../support/repository-root.ts'
import { sampleMember, sampleView } from '../support/sample-view.ts'

/** Beside a failover on a busy machine, which none of these tests measures. */
const LATE_MS = 60_000
const LOAD_BYTES_MAX = 200_000

let folder: DemoFolder
let browser: Browser
let token: string
let opened: Visit[] = []

beforeAll(async () => {
  folder = await DemoFolder.make()
  browser = await launchBrowser()
  await folder.ready(folder.start([]))
  token = readSecret(secretFiles(folder.root).apiToken)
  await withClient(folder.state().primary, (client) => client.query('CREATE TABLE things (a int)'))
})

afterEach(async () => {
  for (const one of opened) await one.close()
  opened = []
})

afterAll(async () => {
  await browser?.close()
  await folder?.dispose()
})

const nodeOf = (name: string) => {
  const node = folder.state().nodes.find((one) => one.name === name)
  if (!node) throw new Error(`There is no ${name}`)
  return node
}
const dashboardOf = (name: string) => `${nodeOf(name).api}dashboard/`

async function open(name = 'node1', options: Parameters<typeof visit>[2] = {}): Promise<Visit> {
  const opening = await visit(browser, dashboardOf(name), options)
  opened.push(opening)
  return opening
}

async function ask<Document>(name: string, path: string): Promise<Document> {
  return (await (await fetch(nodeOf(name).api + path)).json()) as Document
}

const verdict = (page: Page) => page.textContent('#verdict')
const value = (page: Page, member: string, kind: string) =>
  page.textContent(`[data-member="${member}"] [data-value="${kind}"]`)

/** As the superuser: others may not count sessions of others. */
async function sql<Row extends Record<string, unknown>>(
  member: string,
  text: string,
): Promise<Row | undefined> {
  const url = new URL(folder.state().primary)
  url.port = String(nodeOf(member).ports.postgres)
  url.username = 'postgres'
  url.password = readSecret(secretFiles(folder.root).superuserPassword)
  return withClient(url.href, async (client) => (await client.query<Row>(text)).rows[0])
}

/** Healthy and settled, seen from node1: who is primary. */
async function settled(): Promise<string> {
  return eventually(
    'a primary with two standbys',
    async () => {
      const view = await ask<ClusterView>('node1', 'v1/cluster').catch(() => undefined)
      const streaming = view?.streams.filter(({ state }) => state === 'streaming').length
      const isWhole = streaming === 2 && view?.members.every(({ reachable }) => reachable)
      return isWhole && view?.record?.state === 'open' && view.record.holder
    },
    LATE_MS,
  )
}

async function unlock(page: Page, secret: string = token): Promise<void> {
  await page.click('text=Read only')
  await page.fill('input[type=password]', secret)
  await page.click('dialog button[type=submit]')
  await page.waitForSelector('text=Actions on')
}

/** A line that lies flat has no height, which a browser calls hidden. */
const drawn = (page: Page) =>
  page.waitForSelector('[data-measure=connections] path.line', { state: 'attached' })

const shown = (page: Page, what: string, isTrue: () => Promise<boolean>) =>
  eventually(`the page to show ${what}`, isTrue, LATE_MS).then(() => expect(page.isClosed()).toBe(false))

describe('the page', () => {
  it('asks its own node alone, loads little, and nothing goes wrong in it', async () => {
    const { page, requests, errors, picture } = await open()
    await drawn(page)
    await page.waitForSelector('.failovers li')
    const foreign = requests.filter((url) => !url.startsWith(nodeOf('node1').api))
    const loaded = await page.evaluate<number>(
      'performance.getEntries().reduce((sum, one) => sum + (one.transferSize ?? 0), 0)',
    )
    const firstSight = await page.evaluate<number>(
      "performance.getEntriesByName('first-contentful-paint')[0].startTime",
    )
    process.stdout.write(`loaded ${loaded} bytes, first sight after ${Math.round(firstSight)} ms\n`)
    await picture('light')
    expect({ foreign, errors }).toEqual({ foreign: [], errors: [] })
    expect(loaded).toBeGreaterThan(10_000)
    expect(loaded).toBeLessThan(LOAD_BYTES_MAX)
  })

  it('is where a browser is led that opens the port', async () => {
    const { page } = await open()
    await page.goto(nodeOf('node2').api)
    await page.waitForSelector('#verdict')
    expect(page.url()).toBe(dashboardOf('node2'))
    expect(await page.textContent('.nodes [aria-current]')).toBe('node2')
  })

  it('lets no script, style, frame or address of others in', async () => {
    const { page } = await open()
    const tried = await page.evaluate<readonly string[]>(`(async () => {
      const broken = []
      document.addEventListener('securitypolicyviolation', (event) => broken.push(event.effectiveDirective))
      const script = document.createElement('script')
      try { script.textContent = 'window.intruder = 1' } catch { broken.push('text') }
      try { document.body.innerHTML = '<b>x</b>' } catch { broken.push('html') }
      document.body.append(script)
      document.querySelector('main').setAttribute('style', 'color: red')
      await fetch('http://127.0.0.1:9/').catch(() => undefined)
      await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)))
      broken.push('intruder' in window ? 'ran' : 'stopped')
      return broken
    })()`)
    expect(tried).toEqual(
      expect.arrayContaining(['text', 'html', 'style-src-attr', 'connect-src', 'stopped']),
    )
    expect(tried).not.toContain('ran')
  })
})

describe('every number', () => {
  it('is the one of PostgreSQL and of the API', async () => {
    const primary = await settled()
    const { page } = await open('node2')
    await withClient(folder.state().primary, async (client) => {
      for (let row = 0; row < 50; row += 1) await client.query('INSERT INTO things VALUES ($1)', [row])
    })
    for (const { name } of folder.state().nodes) {
      await shown(page, `the sessions of ${name}`, async () => {
        const counted = await sql<{ sessions: string }>(
          name,
          `SELECT count(*) - 1 || '/' || current_setting('max_connections') AS sessions
           FROM pg_stat_activity WHERE backend_type = 'client backend'`,
        )
        return (await value(page, name, 'connections')) === counted?.sessions
      })
    }
    await shown(page, 'no lag', async () => {
      const view = await ask<ClusterView>('node2', 'v1/cluster')
      const lags = await Promise.all(
        view.streams.map(async (one) => [one, await value(page, one.to, 'lag')] as const),
      )
      return lags.length === 2 && lags.every(([one, text]) => text === bytes(one.flushLagBytes ?? -1))
    })
    const { record } = await ask<ClusterView>('node2', 'v1/cluster')
    expect(await page.textContent('[data-value=epoch]')).toBe(String(record?.epoch))
    const timeline = await sql<{ id: number }>(
      primary,
      "SELECT ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int AS id",
    )
    expect(await page.textContent('[data-value=timeline]')).toBe(String(timeline?.id))
  })

  it('counts transactions as PostgreSQL does, and shows their rate', async () => {
    const primary = await settled()
    const { page } = await open(primary)
    await withClient(folder.state().primary, async (client) => {
      for (let row = 0; row < 100; row += 1) await client.query('INSERT INTO things VALUES ($1)', [row])
    })
    await shown(page, 'a rate above nothing', async () => {
      const recent = await ask<RecentDocument>(primary, 'v1/recent')
      const rates = recent.series.find(({ name }) => name === primary)?.transactionsPerSecond ?? []
      return rates.some((rate) => rate !== null && rate > 0)
    })
    await eventually('the same count in the API as in PostgreSQL', async () => {
      const before = await ask<ClusterView>(primary, 'v1/cluster')
      const counted = await sql<{ transactions: number }>(
        primary,
        "SELECT (xact_commit + xact_rollback)::int AS transactions FROM pg_stat_database WHERE datname = 'app'",
      )
      const told = before.members.find(({ facts }) => facts.name === primary)?.facts.activity?.transactions
      return (
        told !== undefined &&
        counted !== undefined &&
        counted.transactions - told < 3 &&
        told <= counted.transactions
      )
    })
    await shown(page, 'the line of that rate', async () => {
      const line = await page.getAttribute('[data-measure=transactionsPerSecond] path.line', 'd')
      return line?.startsWith('M') === true
    })
    expect(await page.getAttribute('[data-measure=transactionsPerSecond] path.line', 'd')).toMatch(/^M/)
  })
})

describe('without the token', () => {
  it('the page only reads, and a wrong one opens nothing', async () => {
    const { page } = await open()
    expect(await page.isDisabled('text=Switchover …')).toBe(true)
    expect(await page.isDisabled('text=Add a member …')).toBe(true)
    expect(await page.isDisabled('text=Pause …')).toBe(true)
    await page.click('text=Log')
    await page.waitForSelector('text=enter the token')
    await page.click('[data-member=node2] .open')
    for (const action of ['Restart …', 'Remove …', 'Clone anew …', 'Make primary …'])
      expect(await page.isDisabled(`dialog >> text=${action}`), action).toBe(true)
    await page.keyboard.press('Escape')
    await page.click('text=Read only')
    await page.fill('input[type=password]', 'wrong')
    await page.click('dialog button[type=submit]')
    await page.waitForSelector('text=This is not the token of node1')
    expect(await page.evaluate("sessionStorage.getItem('pg-metako token')")).toBeNull()
  })

  it('and with it the log and the configuration open, secrets as (set), until it is forgotten', async () => {
    const { page, errors } = await open()
    await unlock(page)
    await page.click('text=Log')
    await page.waitForSelector('.log >> text=Application started successfully')
    await page.click('text=Configuration')
    await page.fill('input[type=search]', 'secret')
    await page.waitForSelector('.config >> text=(set)')
    expect(await page.textContent('.config')).not.toContain(token)
    await page.click('text=Actions on')
    await page.click('text=Forget it')
    await page.waitForSelector('text=Read only')
    expect(await page.evaluate('sessionStorage.length')).toBe(0)
    expect(errors).toEqual([])
  })
})

describe('an action', () => {
  it('switches over after it said what that costs', async () => {
    const before = await settled()
    const { page, picture } = await open('node3')
    await unlock(page)
    const chosen = ['node1', 'node2', 'node3'].find((name) => name !== before) ?? ''
    await page.waitForSelector(`[data-member="${chosen}"].tone-good`)
    await page.click('text=Switchover …')
    await page.waitForSelector(`dialog input[value="${chosen}"]:enabled`)
    await page.check(`dialog input[value="${chosen}"]`)
    expect(await page.textContent('.price')).toContain('No acknowledged commit is lost')
    await picture('switchover')
    await page.click(`text=Make ${chosen} primary`)
    await page.waitForSelector(`text=${chosen} is primary since epoch`, { timeout: LATE_MS })
    await page.click('dialog >> text=Close')
    await shown(page, 'the new primary', async () => (await verdict(page)) === `Writes flow to ${chosen}`)
    const where = await withClient(folder.state().primary, async (client) => {
      const result = await client.query<{ port: number }>('SELECT inet_server_port() AS port')
      return result.rows[0]?.port
    })
    expect(where).toBe(nodeOf(chosen).ports.postgres)
  })

  it('works with the keyboard alone', async () => {
    const before = await settled()
    const { page } = await open('node1')
    const { keyboard } = page
    await keyboard.press('?')
    await page.waitForSelector('dialog >> text=enter or forget the token')
    await keyboard.press('Escape')
    await page.waitForSelector('dialog', { state: 'detached' })
    await keyboard.press('s')
    await page.waitForSelector('dialog >> text=Turn actions on')
    await keyboard.type(token)
    await keyboard.press('Enter')
    await page.waitForSelector('dialog', { state: 'detached' })
    await keyboard.press('2')
    await page.waitForSelector('dialog >> text=WAL on its disk to')
    await keyboard.press('Escape')
    await page.waitForSelector('dialog', { state: 'detached' })
    await keyboard.press('s')
    await page.waitForSelector('dialog button[type=submit]:enabled')
    await eventually('the focus on the button that orders it', async () => {
      await keyboard.press('Tab')
      return page.evaluate<boolean>("document.activeElement.matches('dialog button[type=submit]')")
    })
    await keyboard.press('Enter')
    await page.waitForSelector('text=is primary since epoch', { timeout: LATE_MS })
    await keyboard.press('Escape')
    await shown(page, 'another primary', async () => {
      const now = await verdict(page)
      return now?.startsWith('Writes flow to ') === true && now !== `Writes flow to ${before}`
    })
    expect(await settled()).not.toBe(before)
  })

  it('reads the configuration again, and invites a member', async () => {
    await settled()
    const { page } = await open()
    await unlock(page)
    await page.click('text=Configuration')
    await page.click('text=Reload …')
    await page.click('dialog button[type=submit]')
    await page.waitForSelector('dialog >> text=Read again: nothing has changed')
    await page.keyboard.press('Escape')
    await page.click('text=Add a member …')
    await page.fill('dialog input >> nth=0', 'node4')
    await page.fill('dialog input >> nth=1', '127.0.0.4')
    await page.click('text=Invite it')
    await page.waitForSelector('dialog code >> text=pg-metako join --url')
    const { invitations } = await ask<{ invitations: readonly { name: string }[] }>('node1', 'v1/members')
    expect(invitations.map(({ name }) => name)).toEqual(['node4'])
  })

  it('that is refused says why and what to do, and changes nothing', async () => {
    await settled()
    const { page } = await open()
    await unlock(page)
    await page.click('text=Add a member …')
    await page.fill('dialog input >> nth=0', 'node2')
    await page.fill('dialog input >> nth=1', '127.0.0.9')
    await page.click('text=Invite it')
    await page.waitForSelector('.outcome.failed strong')
    expect(await page.textContent('.outcome.failed')).toContain('member remove')
  })

  it('pauses the cluster, says so at once, restarts a standby meanwhile, and resumes', async () => {
    const primary = await settled()
    const name = ['node1', 'node2', 'node3'].find((one) => one !== primary) ?? ''
    const startedAt = async () =>
      (await ask<ClusterView>(primary, 'v1/cluster')).members.find(({ facts }) => facts.name === name)?.facts
        .instance.startedAt
    const { page } = await open(primary)
    await unlock(page)
    await page.click('text=Pause …')
    await page.click('dialog button[type=submit]')
    await page.waitForSelector('dialog >> text=Paused:')
    await page.keyboard.press('Escape')
    await page.waitForSelector('text=The cluster is paused')
    const before = await startedAt()
    await page.click(`[data-member="${name}"] .open`)
    await page.click('dialog >> text=Restart …')
    await page.click('dialog button[type=submit]')
    await page.waitForSelector(`dialog >> text=${name} runs again after`)
    await eventually(
      'another life of it',
      async () => ![before, undefined].includes(await startedAt()),
      LATE_MS,
    )
    await page.keyboard.press('Escape')
    await page.click('text=Resume …')
    await page.click('dialog button[type=submit]')
    await page.waitForSelector('dialog >> text=Take-overs happen again')
    expect(await settled(), 'nobody took over').toBe(primary)
  })

  it('clones a standby anew once its name is typed', async () => {
    const primary = await settled()
    const name = ['node1', 'node2', 'node3'].find((one) => one !== primary) ?? ''
    const incarnation = async () =>
      (await ask<ClusterView>(primary, 'v1/cluster')).members.find(({ facts }) => facts.name === name)?.facts
        .incarnation
    const before = await incarnation()
    const { page } = await open(primary)
    await unlock(page)
    await page.click(`[data-member="${name}"] .open`)
    await page.click('dialog >> text=Clone anew …')
    expect(await page.isDisabled('dialog button[type=submit]')).toBe(true)
    await page.fill('dialog input', name)
    await page.click('dialog button[type=submit]')
    await page.waitForSelector('dialog >> text=Asked:')
    await eventually(
      'another copy in its place',
      async () => ![before, undefined].includes(await incarnation()),
      LATE_MS,
    )
    await settled()
  })
})

/** A demo gets into this state only when its host loses power: its agent starts a guard again at once. */
describe('a primary of which nobody knows whether it writes', () => {
  it('is taken for down on somebody’s word, given with its name', async () => {
    const findings = [
      { code: 'HOLDER_UNFENCED', severity: 'critical' as const, message: 'Nobody takes over from n1' },
    ]
    const lost = sampleMember('n1', { reachable: false, heardMsAgo: 9000, instance: { role: 'primary' } })
    const members = [lost, sampleMember('n2'), sampleMember('n3')]
    const operations = new FakeOperations(sampleView({ self: 'n2', members, streams: [], findings }))
    const dashboard = readDashboard(join(REPOSITORY_ROOT, 'dist', 'dashboard'))
    const server = await createApiServer(
      { operations, log: silentLogger(), metrics: createMetrics({ ofProcess: false }), dashboard },
      { host: '127.0.0.1', port: 0, token: 'secret', routingToken: 'routing' },
    )
    try {
      const { port } = await server.listen()
      const opening = await visit(browser, `http://127.0.0.1:${port}/`)
      opened.push(opening)
      const { page, errors } = opening
      expect(await verdict(page)).toBe('Writes do not flow: n1, the primary, is not heard')
      await unlock(page, 'secret')
      await page.click('[data-member=n1] .open')
      await page.click('dialog >> text=It is down …')
      expect(await page.textContent('.price')).toContain('two primaries will write')
      expect(await page.isDisabled('dialog button[type=submit]')).toBe(true)
      await page.fill('dialog input', 'n1')
      await page.click('dialog button[type=submit]')
      await page.waitForSelector('dialog >> text=n1 is taken for down')
      expect(operations.changes).toEqual(['confirm-down n1'])
      expect(errors).toEqual([])
    } finally {
      await server.stop()
    }
  })
})

describe('a failover', () => {
  it('is seen while it happens, and its timeline opens', async () => {
    const old = await settled()
    const watcher = ['node1', 'node2', 'node3'].find((name) => name !== old) ?? ''
    const { page, errors, picture } = await open(watcher)
    await page.evaluate(`(() => {
      window.headlines = []
      const note = () => headlines.push(document.querySelector('#verdict').textContent)
      new MutationObserver(note).observe(document.querySelector('#verdict'), { characterData: true, childList: true, subtree: true })
    })()`)
    const marks = () => page.locator('[data-measure=connections] path.take-over').count()
    await drawn(page)
    const marked = await marks()
    process.kill(nodeOf(old).pids.postmaster ?? 0, 'SIGKILL')
    const headline = await eventually(
      'a new primary on the page',
      async () => {
        const now = (await verdict(page)) ?? ''
        return now.startsWith('Writes flow to ') && now !== `Writes flow to ${old}` && now
      },
      LATE_MS,
    )
    const winner = headline.replace('Writes flow to ', '')
    await page.waitForSelector(`.events >> text=PostgreSQL of ${old} is crashed`)
    await page.waitForSelector(`.events >> text=${winner} is primary: epoch`)
    await shown(page, 'the take-over on its charts', async () => (await marks()) === marked + 1)
    const { failovers } = await eventually('the record of the take-over', async () => {
      const history = await ask<HistoryDocument>(winner, 'v1/history')
      return history.failovers.at(-1)?.reason === 'PRIMARY_CRASHED' && history
    })
    const record = failovers.at(-1)
    await page.waitForSelector(`.failovers li[data-epoch="${record?.epoch}"] .timeline`, {
      state: 'attached',
    })
    await page.click(`.failovers li[data-epoch="${record?.epoch}"] summary`)
    const times = await page.locator(`.failovers li[data-epoch="${record?.epoch}"] .ms`).allTextContents()
    expect(times).toEqual(record?.steps.map(({ atMs }) => `${atMs} ms`))
    expect(await page.textContent(`.failovers li[data-epoch="${record?.epoch}"] .who`)).toBe(
      `${old} → ${winner}`,
    )
    await shown(page, 'what it would cost again', async () => {
      const estimate = await ask<{ crashMs?: number }>(watcher, 'v1/estimate')
      return (await page.textContent('[data-value=rto]')) === `≈ ${duration(estimate.crashMs ?? 0)}`
    })
    await settled()
    await shown(page, 'that all is well again', async () => await page.isVisible('.hero.tone-good'))
    await picture('after-a-failover')
    process.stdout.write(`seen: ${JSON.stringify(await page.evaluate('headlines'))}\n`)
    expect(errors).toEqual([])
  })

  it('of nobody is claimed by a node that is cut off: it says so, and how old its picture is', async () => {
    await settled()
    const { page, picture } = await open('node1')
    const others = ['node2', 'node3'].map((name) => nodeOf(name).pids.agent ?? 0)
    for (const pid of others) process.kill(pid, 'SIGSTOP')
    try {
      await shown(
        page,
        'that it is cut off',
        async () => (await verdict(page)) === 'node1 is cut off from the majority',
      )
      // The majority is gone before the last of the others has been silent for long enough.
      await shown(page, 'that nobody is heard, and how old its picture is', async () => {
        const detail = (await page.textContent('.hero .detail')) ?? ''
        const troubled = await page.locator('.member.tone-warning, .member.tone-critical').count()
        return /It hears nobody.* is [\d.]+ (m?s) old/.test(detail) && troubled > 1
      })
      expect(await page.textContent('.hero .detail')).toMatch(/It hears nobody.* is [\d.]+ (m?s) old/)
      await picture('cut-off')
    } finally {
      for (const pid of others) process.kill(pid, 'SIGCONT')
    }
    await shown(
      page,
      'that it is over',
      async () => (await verdict(page))?.startsWith('Writes flow to ') === true,
    )
  })

  it('of its own agent is said by the page: what it shows is old, and grows older', async () => {
    await settled()
    const { page } = await open('node1')
    const pid = nodeOf('node1').pids.agent ?? 0
    process.kill(pid, 'SIGSTOP')
    try {
      await shown(page, 'that nobody answers', async () => (await verdict(page)) === 'node1 does not answer')
      expect(await page.textContent('.pulse')).toMatch(/^[\d.]+ s old$/)
    } finally {
      process.kill(pid, 'SIGCONT')
    }
    await shown(page, 'life again', async () => (await page.textContent('.pulse')) === 'live')
  })
})

describe('it fits', () => {
  it.each([360, 768] as const)(
    'a screen of %d pixels: nothing is wider, everything can be hit',
    async (width) => {
      const { page, picture } = await open('node1', { viewport: { width, height: 760 }, hasTouch: true })
      await drawn(page)
      expect(await page.evaluate<number>('document.documentElement.scrollWidth')).toBeLessThanOrEqual(width)
      const small = await page.evaluate<readonly string[]>(
        "[...document.querySelectorAll('button')].filter((one) => one.getBoundingClientRect().height < 28).map((one) => one.textContent)",
      )
      expect(small).toEqual([])
      await page.tap('[data-member=node2] .open')
      await page.waitForSelector('dialog[open]')
      expect(await page.evaluate<number>('document.documentElement.scrollWidth')).toBeLessThanOrEqual(width)
      await page.keyboard.press('Escape')
      await picture(`width-${width}`)
    },
  )

  it('dark and light, as the system or as chosen, and can be read in both', async () => {
    for (const colorScheme of ['light', 'dark'] as const) {
      const { page, picture } = await open('node1', { colorScheme })
      await page.waitForSelector('.failovers li')
      expect(
        await contrast(page, '.detail, .basis, .figure small, .where, .legend, summary .reason, .scale'),
        colorScheme,
      ).toBeGreaterThan(4.5)
      if (colorScheme === 'dark') await picture('dark')
    }
    const { page } = await open('node1', { colorScheme: 'light' })
    const ground = () => page.evaluate<string>('getComputedStyle(document.documentElement).backgroundColor')
    const light = await ground()
    await page.keyboard.press('d')
    await page.keyboard.press('d')
    expect(await ground()).not.toBe(light)
    await page.reload()
    await page.waitForSelector('#verdict')
    expect(await ground()).not.toBe(light)
  })
})

/** The weakest contrast of these texts on what lies behind them, as WCAG counts it. */
function contrast(page: Page, selector: string): Promise<number> {
  return page.evaluate<number>(`(() => {
    const rgb = (text) => text.match(/[\\d.]+/g).map(Number)
    const luminance = (text) => {
      const [r, g, b] = rgb(text).map((part) => part / 255).map((part) => part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
      return 0.2126 * r + 0.7152 * g + 0.0722 * b
    }
    const behind = (element) => {
      for (let one = element; one; one = one.parentElement) {
        const { backgroundColor, backgroundImage } = getComputedStyle(one)
        if (/^rgb\\(/.test(backgroundColor) && backgroundImage === 'none') return backgroundColor
        if (/^rgb\\(/.test(backgroundColor)) return backgroundColor
      }
      return 'rgb(255, 255, 255)'
    }
    const ratios = [...document.querySelectorAll(${JSON.stringify(selector)})].map((element) => {
      const [one, other] = [luminance(getComputedStyle(element).color), luminance(behind(element))]
      return (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05)
    })
    return Math.min(...ratios)
  })()`)
}

/** Last: what it does is not undone. */
describe('a member', () => {
  it('is removed once its name is typed, and the page shows the cluster without it', async () => {
    const primary = await settled()
    const name = ['node1', 'node2', 'node3'].find((one) => one !== primary) ?? ''
    const { page } = await open(primary)
    await unlock(page)
    await page.click(`[data-member="${name}"] .open`)
    await page.click('dialog >> text=Remove …')
    expect(await page.textContent('.price')).toContain(
      'With two voters the loss of either one stops all take-overs',
    )
    await page.fill('dialog input', name)
    await page.click('dialog button[type=submit]')
    await page.waitForSelector(`dialog >> text=${name} is removed`, { timeout: LATE_MS })
    await page.keyboard.press('Escape')
    await page.waitForSelector(`[data-member="${name}"]`, { state: 'detached', timeout: LATE_MS })
    expect(await verdict(page)).toBe(`Writes flow to ${primary}`)
  })
})
