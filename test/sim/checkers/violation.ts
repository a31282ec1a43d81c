/** A promise was broken. Never caught by the simulated program. */
export class Violation extends Error {
  override readonly name = 'Violation'
}
