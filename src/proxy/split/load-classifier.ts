import { Classifier } from '../../sql/classifier.ts'
import type { PoolOptions } from '../pool/pool-options.ts'

/** The grammar is WebAssembly: it is compiled beside the traffic, and only where somebody splits. */
export async function loadClassifier({
  readFunctions,
  writeFunctions,
}: Pick<PoolOptions, 'readFunctions' | 'writeFunctions'>): Promise<Classifier> {
  const { loadGrammar } = await import('../../sql/grammar.ts')
  const overrides = { read: new Set(readFunctions), write: new Set(writeFunctions) }
  return new Classifier(await loadGrammar(), overrides)
}
