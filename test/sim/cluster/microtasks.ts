import { setFlagsFromString } from 'node:v8'

/**
 * Runs every promise reaction that can run, now. Promises are a hidden scheduler: between two events of the virtual clock
 * all of them must have happened, or the order of a run would hang on how deep an async function is. V8 has a checkpoint for
 * this; it does nothing inside a promise reaction, so a simulation has to be run from a plain task (see `fromPlainTask`).
 */
export const runMicrotasks: () => void = findCheckpoint()

/** Runs `work` outside of every promise reaction. */
export function fromPlainTask<T>(work: () => T): Promise<T> {
  return new Promise((resolve, reject) => {
    setImmediate(() => {
      try {
        resolve(work())
      } catch (error) {
        reject(error instanceof Error ? error : new Error(String(error)))
      }
    })
  })
}

function findCheckpoint(): () => void {
  setFlagsFromString('--allow-natives-syntax')
  try {
    // oxlint-disable-next-line typescript/no-implied-eval -- V8's own syntax, which no parser but V8's takes
    return new Function('%PerformMicrotaskCheckpoint()') as () => void
  } finally {
    setFlagsFromString('--no-allow-natives-syntax')
  }
}
