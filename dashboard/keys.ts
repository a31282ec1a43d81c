import { useEffect, useRef } from 'preact/hooks'
import type { Asked } from './asked.ts'
import type { LiveCluster } from './live-cluster.ts'
import { applyTheme, currentTheme, themeAfter } from './theme.ts'

export const KEYS: readonly (readonly [key: string, what: string])[] = [
  ['1 … 9', 'open a member'],
  ['s', 'switchover'],
  ['t', 'enter or forget the token'],
  ['d', 'dark, light, or as the system'],
  ['?', 'this list'],
  ['Esc', 'close'],
]

/** Keys of one letter, unless somebody is typing or a dialog is open. */
export function useKeys(about: {
  readonly cluster: LiveCluster
  readonly ask: (asked: Asked) => void
  readonly isBusy: boolean
}): void {
  // Of the last drawing: an effect runs a moment after it, and a key that is pressed in between must not meet the state of before.
  const latest = useRef(about)
  latest.current = about
  useEffect(() => {
    const listen = (event: KeyboardEvent) => {
      const { cluster, ask, isBusy } = latest.current
      const { target } = event
      const isTyping = target instanceof HTMLInputElement || target instanceof HTMLSelectElement || isBusy
      if (isTyping || event.ctrlKey || event.metaKey || event.altKey) return
      const asked = askedBy(event.key, cluster)
      if (!asked) return
      event.preventDefault()
      ask(asked)
    }
    document.addEventListener('keydown', listen)
    return () => document.removeEventListener('keydown', listen)
  }, [])
}

function askedBy(key: string, cluster: LiveCluster): Asked | undefined {
  if (key === '?') return { kind: 'keys' }
  if (key === 't') return { kind: 'token' }
  if (key === 's') return cluster.token === undefined ? { kind: 'token' } : { kind: 'switchover' }
  if (key === 'd') applyTheme(themeAfter(currentTheme()))
  const name = cluster.live.view?.members[Number(key) - 1]?.facts.name
  return name === undefined ? undefined : { kind: 'member', name }
}
