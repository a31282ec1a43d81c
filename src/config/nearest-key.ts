import { editDistance } from '../std/nearest.ts'

/** The word of `words` that was probably meant by `word`; undefined when none is near. */
export function nearestWord(word: string, words: readonly string[]): string | undefined {
  const wanted = folded(word)
  // Longer than any key of ours: no need to measure, and nothing for a hostile file to win.
  if (wanted.length > 80) return undefined
  const limit = Math.max(1, Math.floor(wanted.length / 3))
  let best: { word: string; distance: number } | undefined
  for (const candidate of words) {
    const distance = editDistance(wanted, folded(candidate))
    if (distance <= limit && (best === undefined || distance < best.distance))
      best = { word: candidate, distance }
  }
  return best?.word
}

/** `heartbeatInterval`, `heartbeat-interval` and `heartbeat_interval` are one word to a reader. */
function folded(word: string): string {
  return word
    .replaceAll(/([a-z])([A-Z])/g, '$1_$2')
    .replaceAll('-', '_')
    .toLowerCase()
}

/**
 * The known key that an unknown one probably means: in the same section first, then the same last word in another
 * section, then anything near.
 */
export function nearestKey(key: string, known: readonly string[]): string | undefined {
  const section = key.slice(0, key.lastIndexOf('.') + 1)
  const last = lastWord(key)
  const here = known.filter((other) => sectionOf(other) === section)
  const near = nearestWord(last, here.map(lastWord))
  if (near !== undefined) return section + near
  const elsewhere = known.filter((other) => folded(lastWord(other)) === folded(last))
  if (elsewhere.length > 0) return bestByPath(key, elsewhere)
  const word = nearestWord(last, known.map(lastWord))
  return known.find((other) => lastWord(other) === word)
}

function bestByPath(key: string, candidates: readonly string[]): string | undefined {
  const byDistance = candidates.map((candidate) => ({ candidate, distance: editDistance(key, candidate) }))
  return byDistance.sort((a, b) => a.distance - b.distance)[0]?.candidate
}

function sectionOf(key: string): string {
  return key.slice(0, key.lastIndexOf('.') + 1)
}

function lastWord(key: string): string {
  return key.slice(key.lastIndexOf('.') + 1)
}
