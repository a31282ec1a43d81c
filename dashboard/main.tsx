/*
 * The dashboard: what one agent knows about its cluster, for people. It runs in the browser, asks nobody but the agent that
 * served it, and never decides anything: what it orders goes through the same API as the command line's, with the same token.
 */
import { render } from 'preact'
import { LiveCluster } from './live-cluster.ts'
import { Page } from './page.tsx'
import { applyTheme, currentTheme } from './theme.ts'

applyTheme(currentTheme())
const cluster = new LiveCluster()
cluster.start()
const root = document.getElementById('page')
if (root) {
  root.replaceChildren()
  render(<Page cluster={cluster} />, root)
}
