import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { chromium, type Browser, type BrowserContextOptions, type Page } from 'playwright-core'
import { REPOSITORY_ROOT } from './repository-root.ts'

/** For people who want to see what the tests saw; ignored by git. */
const PICTURES = join(REPOSITORY_ROOT, '.build', 'pictures')

/** The Chromium of this machine, without a screen. */
export function launchBrowser(): Promise<Browser> {
  const folder = (process.env['PATH'] ?? '').split(':').find((one) => existsSync(join(one, 'chromium')))
  if (folder === undefined) throw new Error('Cannot find chromium in PATH: apt-get install chromium')
  // PostgreSQL's tests run as root in containers, where Chromium has no sandbox to use.
  return chromium.launch({ executablePath: join(folder, 'chromium'), args: ['--no-sandbox'] })
}

/** A page of its own session, with all that it asked for and everything that went wrong in it. */
export type Visit = {
  readonly page: Page
  readonly requests: readonly string[]
  readonly errors: readonly string[]
  /** Keeps a picture of the whole page. */
  picture(name: string): Promise<void>
  close(): Promise<void>
}

export async function visit(
  browser: Browser,
  url: string,
  options: BrowserContextOptions = {},
): Promise<Visit> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options })
  const page = await context.newPage()
  const requests: string[] = []
  const errors: string[] = []
  page.on('request', (request) => requests.push(request.url()))
  page.on('console', (message) => {
    if (message.type() === 'error') errors.push(message.text())
  })
  page.on('pageerror', (error) => errors.push(error.message))
  await page.goto(url)
  await page.waitForSelector('#verdict')
  return {
    page,
    requests,
    errors,
    picture: async (name) => {
      mkdirSync(PICTURES, { recursive: true })
      await page.screenshot({ path: join(PICTURES, `${name}.png`), fullPage: true })
    },
    close: () => context.close(),
  }
}
