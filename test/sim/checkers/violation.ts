/** A promise was broken. Never caught by the simulated program. `checker` names who found it. */
export class Violation extends Error {
  override readonly name = 'Violation'
  readonly checker: string | undefined

  constructor(message: string, checker?: string) {
    super(checker === undefined ? message : `${checker}: ${message}`)
    this.checker = checker
  }
}
