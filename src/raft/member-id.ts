/**
 * A member's identity is its name and the incarnation of its log, written `name#incarnation`: a member whose log was lost
 * comes back as another one, so that it can never vote a second time in a term. Members of a group that was founded
 * before there were incarnations have the bare name.
 */
const SEPARATOR = '#'

/** Longest random part, in UTF-16 units. */
export const INCARNATION_LENGTH_MAX = 64

export function memberId(name: string, incarnation: string): string {
  return incarnation === '' ? name : `${name}${SEPARATOR}${incarnation}`
}

export function nameOf(id: string): string {
  const at = id.lastIndexOf(SEPARATOR)
  return at < 0 ? id : id.slice(0, at)
}

export function incarnationOf(id: string): string {
  const at = id.lastIndexOf(SEPARATOR)
  return at < 0 ? '' : id.slice(at + SEPARATOR.length)
}

/** True for a text that may be an incarnation. */
export function isIncarnation(text: string): boolean {
  return text !== '' && text.length <= INCARNATION_LENGTH_MAX && !text.includes(SEPARATOR)
}
