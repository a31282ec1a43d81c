/** So many different lines may take turns and still count as repeated. */
const REPEATED_TEXTS = 3

/**
 * What happened in a run. The hash takes every line in, so that two runs of one seed can be compared to the event; the text is
 * kept only when somebody wants to read it: a run is repeated for that, which costs less than keeping all. What somebody says over
 * and over, numbers aside, is kept once: minutes of one refused start would push the cause out.
 */
export class EventTrace {
  readonly #lines: string[] = []
  readonly #linesMax: number
  /** By who: what it said last, numbers aside, newest last. */
  readonly #saidLast = new Map<string, readonly string[]>()
  #high = 0x811c9dc5
  #low = 0x1234567
  #count = 0

  constructor(linesMax: number) {
    this.#linesMax = linesMax
  }

  get lines(): readonly string[] {
    return this.#lines
  }

  get count(): number {
    return this.#count
  }

  get hash(): string {
    return `${(this.#high >>> 0).toString(16).padStart(8, '0')}${(this.#low >>> 0).toString(16).padStart(8, '0')}`
  }

  /** `at` in true milliseconds. */
  note(at: number, who: string, what: string): void {
    this.#mix(at)
    for (let index = 0; index < what.length; index += 1) this.#take(what.charCodeAt(index))
    this.#count += 1
    if (this.#linesMax === 0 || this.#isRepeated(who, what)) return
    this.#lines.push(`${(at / 1000).toFixed(4).padStart(10)} ${who.padEnd(8)} ${what}`)
    if (this.#lines.length > 2 * this.#linesMax) this.#lines.splice(0, this.#linesMax)
  }

  /** An event that is worth no line: its time and number still count. */
  tick(at: number, number = 0): void {
    this.#mix(at)
    if (number !== 0) this.#take(number)
  }

  #isRepeated(who: string, what: string): boolean {
    const text = what.replaceAll(/\d+/g, '#')
    const said = this.#saidLast.get(who) ?? []
    const others = said.filter((one) => one !== text)
    this.#saidLast.set(who, [...others, text].slice(-REPEATED_TEXTS))
    return others.length < said.length
  }

  #mix(at: number): void {
    // Microseconds: finer than every difference that a run can hang on.
    this.#take(Math.round(at * 1000) | 0)
  }

  #take(value: number): void {
    this.#high = Math.imul(this.#high ^ value, 0x01000193)
    this.#low = Math.imul(this.#low ^ (value + 0x9e3779b9), 0x85ebca6b) ^ (this.#high >>> 15)
  }
}
