/**
 * All codes of faults: what the world did, and what an operator does about it. Codes are API: logs, REST problems and
 * the CLI carry them, so renaming one is a breaking change. `docs/reference/errors.md` is generated from this file.
 */
export type ErrorDescription = {
  /** What it means, and its usual cause. */
  readonly meaning: string
  /** What the operator does now. */
  readonly remedy: string
}

export const errorCodes = {} as const satisfies Readonly<Record<string, ErrorDescription>>

export type ErrorCode = keyof typeof errorCodes

/** What to do about a code; `undefined` for one that is not ours: a SQLSTATE, an errno name. */
export function remedyOf(code: string): string | undefined {
  return (errorCodes as Readonly<Record<string, ErrorDescription>>)[code]?.remedy
}
