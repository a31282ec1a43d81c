import { monotonicMs } from '../../platform/clock.ts'
import { Classifier } from '../../sql/classifier.ts'
import type { PoolOptions } from '../pool/pool-options.ts'

export type LoadedClassifier = { readonly classifier: Classifier; readonly parseTimeMs: () => number }

/** The grammar is WebAssembly: it is compiled beside the traffic, and only where somebody splits. */
export async function loadClassifier({
  readFunctions,
  writeFunctions,
}: Pick<PoolOptions, 'readFunctions' | 'writeFunctions'>): Promise<LoadedClassifier> {
  const { loadGrammar } = await import('../../sql/grammar.ts')
  const overrides = { read: new Set(readFunctions), write: new Set(writeFunctions) }
  const grammar = await loadGrammar()
  let spentMs = 0
  const classifier = new Classifier((text) => {
    const began = monotonicMs()
    const parsed = grammar(text)
    spentMs += monotonicMs() - began
    return parsed
  }, overrides)
  return { classifier, parseTimeMs: () => spentMs }
}
