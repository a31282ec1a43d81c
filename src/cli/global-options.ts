import type { GenerateWords } from './generate/generate-options.ts'
import type { Format } from './report.ts'

/** Options that stand before or after every command. */
export type GlobalOptions = GenerateWords & {
  readonly config?: string
  readonly url?: string
  readonly token?: string
  readonly format: Format
  readonly validate?: boolean
  readonly validateConfig?: boolean
}
