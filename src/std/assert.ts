/** A broken invariant: our bug, never the world's fault. The agent steps down and exits; its supervisor restarts it. */
class AssertionFailed extends Error {
  override readonly name = 'AssertionFailed'
}

/** Stops the program when an invariant does not hold. `message` names the numbers that contradict each other. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new AssertionFailed(message)
}

/** Marks the branch that an exhaustive `switch` can never take. */
export function unreachable(value: never): never {
  throw new AssertionFailed(`Unreachable value: ${JSON.stringify(value)}`)
}

/** The value, which an invariant says is there. */
export function present<T>(value: T | undefined | null, what: string): T {
  if (value === undefined || value === null) throw new AssertionFailed(`Missing: ${what}`)
  return value
}
