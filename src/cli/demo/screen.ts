import { afterUnheld } from '../../platform/timers.ts'
import { clip } from './ansi.ts'

/** What a screen needs of a terminal: `process.stdout` has it. */
export type Terminal = {
  readonly columns?: number
  readonly rows?: number
  write(text: string): boolean
  on(event: 'resize', listener: () => void): unknown
  off(event: 'resize', listener: () => void): unknown
}

const COLUMNS_DEFAULT = 80
const ROWS_DEFAULT = 24
const ESC = '\u001b['
const ENTER = `${ESC}?1049h${ESC}?25l${ESC}2J`
const LEAVE = `${ESC}0m${ESC}?25h${ESC}?1049l`
/** Asks the terminal to show all of a frame at once; those that do not know it ignore it. */
const BEGIN_FRAME = `${ESC}?2026h`
const END_FRAME = `${ESC}?2026l`
/** A dragged window edge resizes many times a second. */
const RESIZE_MS = 30

/** Draws frames on the terminal's second page and puts the first one back at the end. Only lines that changed are written. */
export class Screen {
  readonly #terminal: Terminal
  #shown: readonly string[] = []
  #frame: (size: { columns: number; rows: number }) => readonly string[] = () => []
  #isOpen = false
  #cancelResize: () => void = () => {}

  constructor(terminal: Terminal) {
    this.#terminal = terminal
  }

  open(): void {
    if (this.#isOpen) return
    this.#isOpen = true
    this.#terminal.write(ENTER)
    this.#terminal.on('resize', this.#resized)
  }

  /** Draws now, and again whenever the size of the terminal changes. */
  draw(frame: (size: { columns: number; rows: number }) => readonly string[]): void {
    this.#frame = frame
    if (!this.#isOpen) return
    // A terminal that was given no size says 0.
    const columns = this.#terminal.columns || COLUMNS_DEFAULT
    const rows = this.#terminal.rows || ROWS_DEFAULT
    const lines = frame({ columns, rows })
      .slice(0, rows)
      .map((line) => clip(line, columns))
    const text = difference(this.#shown, lines)
    this.#shown = lines
    if (text !== '') this.#terminal.write(BEGIN_FRAME + text + END_FRAME)
  }

  /** Idempotent; safe at any moment, also while the program is failing. */
  close(): void {
    if (!this.#isOpen) return
    this.#isOpen = false
    this.#cancelResize()
    this.#terminal.off('resize', this.#resized)
    this.#terminal.write(LEAVE)
  }

  #resized = (): void => {
    this.#cancelResize()
    this.#cancelResize = afterUnheld(RESIZE_MS, () => {
      this.#shown = []
      if (this.#isOpen) this.#terminal.write(`${ESC}2J`)
      this.draw(this.#frame)
    })
  }
}

/**
 * What turns the old lines into the new ones. The last line is written anew each time, and the cursor stays at its end: what
 * somebody types, a `^C` for instance, appears there and goes with the next frame.
 */
export function difference(old: readonly string[], lines: readonly string[]): string {
  const last = lines.length - 1
  let text = ''
  for (let row = 0; row < Math.max(old.length, lines.length); row += 1) {
    if (old[row] !== lines[row] && row !== last) text += `${ESC}${row + 1};1H${lines[row] ?? ''}${ESC}K`
  }
  return last < 0 ? text : `${text}${ESC}${last + 1};1H${lines[last] ?? ''}${ESC}K`
}
