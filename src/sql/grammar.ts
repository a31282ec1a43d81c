import { loadModule, parseSync } from 'libpg-query'
import type { Grammar, ParsedStatement, Tree } from './tree.ts'

/**
 * Loads the grammar of PostgreSQL 18: WebAssembly, compiled once in a process. Import this file where it is needed and not
 * before: it takes as long as all else of a start. It runs no code of the statement and touches nothing outside itself.
 */
export async function loadGrammar(): Promise<Grammar> {
  await loadModule()
  return (text) => {
    try {
      const { stmts = [] } = parseSync(text) as { readonly stmts?: readonly { readonly stmt?: Tree }[] }
      return { kind: 'parsed', statements: stmts.map(({ stmt }) => parsedStatement(stmt ?? {})) }
    } catch (error) {
      return { kind: 'refused', message: error instanceof Error ? error.message : String(error) }
    }
  }
}

function parsedStatement(node: Tree): ParsedStatement {
  const [tag = ''] = Object.keys(node)
  return { tag, fields: (node[tag] ?? {}) as Tree }
}
