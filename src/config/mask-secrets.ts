const SECRET_WORD = String.raw`[\w.-]*(?:pass|pwd|secret|token)[\w.-]*`
/** A key that may hold a secret, up to where its value starts; `…_file` names no secret but a path. */
const SECRET_KEY = new RegExp(
  String.raw`(?<![\w.-])(?![\w.-]*_file["']?\s*:)["']?${SECRET_WORD}["']?\s*[:=]\s*(?=\S)`,
  'i',
)
/** Stands where something was left out. */
export const MASK = '***'

/** Characters of a line that are looked at. */
export const MASKED_LENGTH_MAX = 2000

/** Masks what follows a secret's key, and passwords in connection strings. */
export function maskSecrets(text: string): string {
  // The patterns take quadratic time on a hostile text; nothing that people write is as long as this.
  const line = text.length > MASKED_LENGTH_MAX ? `${text.slice(0, MASKED_LENGTH_MAX)}…` : text
  const found = SECRET_KEY.exec(line)
  const cut = found === null ? line : `${line.slice(0, found.index + found[0].length)}${MASK}`
  return cut.replaceAll(/(:\/\/[^\s:/@]*:)[^\s@]*@/g, `$1${MASK}@`)
}

/** A key as it may be shown: what is no plain word may be a secret that lost its quotes. */
export function shownKey(key: string): string {
  return /^[\w.-]{1,64}$/.test(key) ? key : MASK
}
