import { mergeTrees } from '../load-tree.ts'
import type { Problems } from '../problem.ts'
import { treeAt } from '../tree-lookup.ts'
import type { MapTree } from '../yaml-tree.ts'
import { patroniEnvironment } from './patroni-environment.ts'
import { translatePatroni } from './translate.ts'

/** A `patroni.yml` has at least two of these, and no name of ours. */
export function isPatroniForm(tree: MapTree, env: Readonly<Record<string, string | undefined>>): boolean {
  const known = ['restapi', 'scope'].filter((name) => tree.entries.has(name)).length
  const dcs = treeAt(tree, 'bootstrap', 'dcs') === undefined ? 0 : 1
  const hasLogin = treeAt(tree, 'postgresql', 'authentication') === undefined ? 0 : 1
  const hasScope = env['PATRONI_SCOPE'] ? 1 : 0
  return !tree.entries.has('identity') && known + dcs + hasLogin + hasScope >= 2
}

/** The same in our own words; variables go before the file, as with Patroni. */
export function readPatroniForm(
  tree: MapTree,
  context: { readonly env: Readonly<Record<string, string | undefined>>; readonly problems: Problems },
): MapTree {
  const { env, problems } = context
  return translatePatroni(mergeTrees(patroniEnvironment(env, tree.place, problems), tree), problems)
}
