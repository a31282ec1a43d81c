/** Positions in the WAL are plain numbers inside the model: 2^53 bytes are enough for any run. */
export const SEGMENT_BYTES = 16 * 1024 * 1024

/** Where the WAL of a new instance begins: the second segment, as initdb leaves it. */
export const FIRST_LSN = SEGMENT_BYTES + 40

const CACHE_SIZE = 256
const cachedLsns = new Float64Array(CACHE_SIZE).fill(-1)
const cachedTexts: string[] = Array.from({ length: CACHE_SIZE }, () => '')

/** PostgreSQL's text form. The same few positions are asked for again and again. */
export function lsnText(lsn: number): string {
  const place = (lsn >>> 3) & (CACHE_SIZE - 1)
  if (cachedLsns[place] === lsn) return cachedTexts[place] as string
  const high = Math.floor(lsn / 0x1_0000_0000)
  const text = `${high.toString(16).toUpperCase()}/${(lsn % 0x1_0000_0000).toString(16).toUpperCase()}`
  cachedLsns[place] = lsn
  cachedTexts[place] = text
  return text
}

/** Reads the text form; throws when it is not one. */
export function readLsn(text: string): number {
  const match = /^([0-9A-Fa-f]{1,8})\/([0-9A-Fa-f]{1,8})$/.exec(text)
  if (!match) throw new Error(`"${text}" is no WAL position`)
  return Number.parseInt(match[1] as string, 16) * 0x1_0000_0000 + Number.parseInt(match[2] as string, 16)
}

export function segmentStart(lsn: number, segmentBytes: number): number {
  return lsn - (lsn % segmentBytes)
}
