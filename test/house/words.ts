import { basename } from 'node:path'
import { stretchesOf, wordsOf } from './source-text.ts'
import { isProduct, isTypeScript, type SourceTree, type Violation } from './source-tree.ts'

/** A word that belongs to one world alone (GLOSSARY.md). */
export type WordRule = {
  readonly words: readonly string[]
  readonly instead: string
  /** Where the rule holds: prefixes of paths. */
  readonly within: readonly string[]
  /** Borders to a foreign world: prefixes of paths where the word is at home, each with the reason. */
  readonly except: Readonly<Record<string, string>>
  /** Words that make a line harmless, since it names the foreign world itself. */
  readonly besides?: readonly string[]
}

const CONSENSUS_STATUS = 'shows the state of consensus, in the words of Raft'
const PATRONI = 'speaks the words of Patroni, whose users read it'
const SEED = 'keeps the words of the original config and API'
const PATRONI_TREE = "keeps Patroni's key tree, whose key is called leader"
const PATRONI_OPTION = 'takes the option of patronictl as well'

export const wordRules: readonly WordRule[] = [
  {
    words: ['leader', 'leadership', 'follower', 'term'],
    instead: 'lease, holder, epoch (leader and term belong to Raft)',
    within: ['src/', 'client/', 'dashboard/'],
    besides: ['raft', 'consensus', 'patroni', 'patronictl', 'env', 'environment'],
    except: {
      'src/raft/': 'is Raft',
      'src/store/raft/': 'drives Raft',
      'src/store/store.ts': CONSENSUS_STATUS,
      'src/ha/ports.ts': CONSENSUS_STATUS,
      'src/model/cluster-view.ts': CONSENSUS_STATUS,
      'client/cluster-view.ts': CONSENSUS_STATUS,
      'src/store/memory/': CONSENSUS_STATUS,
      'src/store/etcd/': 'speaks the words of etcd, which are those of Raft',
      'src/agent/view.ts': CONSENSUS_STATUS,
      'src/agent/brain.ts': CONSENSUS_STATUS,
      'src/agent/etcd/': CONSENSUS_STATUS,
      'src/agent/membership/': CONSENSUS_STATUS,
      'src/cli/member/': CONSENSUS_STATUS,
      'src/agent/control-plane.ts': "keeps Raft's leadership off the primary's node",
      'src/agent/switchover.ts': PATRONI_TREE,
      'src/cli/program.ts': PATRONI_OPTION,
      'src/cli/patronictl/': PATRONI,
      'src/cli/switchover-command.ts': PATRONI_OPTION,
      'src/api/server.ts': PATRONI,
      'src/ha/keys.ts': PATRONI_TREE,
      'src/ha/act/change-record.ts': PATRONI_TREE,
      'src/ha/observe/foreign-text.ts': PATRONI_TREE,
      'src/api/patroni/': PATRONI,
      'src/api/switchover-request.ts': PATRONI,
      'client/patroni-documents.ts': PATRONI,
      'client/create-client.ts': PATRONI,
      'client/operations.ts': PATRONI,
      'src/config/': SEED,
    },
  },
  {
    words: ['master', 'slave', 'masters', 'slaves'],
    instead: 'primary, standby',
    within: ['src/', 'client/', 'dashboard/'],
    except: {
      'src/config/': SEED,
      'src/api/coordination/': SEED,
      'client/coordination-documents.ts': SEED,
      'src/api/patroni/': PATRONI,
      'src/cli/patronictl/': PATRONI,
    },
  },
  {
    words: ['xlog'],
    instead: 'WAL',
    within: ['src/', 'client/', 'dashboard/'],
    except: {
      'src/agent/etcd/patroni-keys.ts': PATRONI,
      'src/api/patroni/': PATRONI,
      'client/patroni-documents.ts': PATRONI,
      'src/postgres/wal-reader.ts': "names constants of PostgreSQL's source",
    },
  },
  {
    words: ['lock', 'locks', 'locked'],
    instead: 'lease',
    within: ['src/ha/', 'src/model/', 'src/store/'],
    except: {},
  },
  {
    words: ['upstream', 'downstream'],
    instead: 'frontend (towards the client), backend (towards PostgreSQL)',
    within: ['src/proxy/'],
    except: {},
  },
]

/** Words in code, comments and strings that the rules forbid there. */
export function foreignWords(tree: SourceTree, rules: readonly WordRule[] = wordRules): readonly Violation[] {
  return [...tree]
    .filter(([file]) => isProduct(file))
    .flatMap(([file, text]) =>
      rules
        .filter((rule) => rule.within.some((prefix) => file.startsWith(prefix)))
        .filter((rule) => !Object.keys(rule.except).some((prefix) => file.startsWith(prefix)))
        .flatMap((rule) => linesWith(text, rule).map((line) => foreignWord(file, line, rule))),
    )
}

function foreignWord(file: string, found: { line: number; word: string }, rule: WordRule): Violation {
  return { file: `${file}:${found.line}`, message: `says "${found.word}": say ${rule.instead}` }
}

function linesWith(text: string, rule: WordRule): readonly { line: number; word: string }[] {
  return text.split('\n').flatMap((content, index) => {
    const words = wordsOf(content)
    const word = words.find((one) => rule.words.includes(one))
    const isHarmless = words.some((one) => rule.besides?.includes(one))
    return word === undefined || isHarmless ? [] : [{ line: index + 1, word }]
  })
}

/** Exceptions of the rules that no file needs any more: a border that is not there must not stay open. */
export function unusedBorders(tree: SourceTree, rules: readonly WordRule[] = wordRules): readonly string[] {
  return rules.flatMap((rule) =>
    Object.keys(rule.except).filter(
      (prefix) =>
        ![...tree].some(
          ([file, text]) => file.startsWith(prefix) && isProduct(file) && linesWith(text, rule).length > 0,
        ),
    ),
  )
}

const BANNED_NAMES = [
  'util',
  'utils',
  'helper',
  'helpers',
  'common',
  'misc',
  'types',
  'manager',
  'base',
  'impl',
  'data',
  'info',
  'ex',
  'handler',
]

/** Files and folders whose name says nothing: as a whole name, or as its last word. */
export function emptyNames(paths: readonly string[]): readonly Violation[] {
  return paths.filter(isTypeScript).flatMap((file) => {
    const parts = file.split('/').map((part) => part.replace(/(\.[a-z]+)*\.tsx?$/, ''))
    const bad = parts.find((part) => BANNED_NAMES.includes(lastWordOf(part)) && !isObjectHandler(part))
    const name = basename(file).replace(/(\.[a-z]+)*\.tsx?$/, '')
    if (bad !== undefined) return [{ file, message: `is named "${bad}": name what it holds` }]
    if (!/^[a-z0-9]+(-[a-z0-9]+)*$/.test(name)) return [{ file, message: 'is not in kebab-case' }]
    return []
  })
}

function lastWordOf(name: string): string {
  return name.split('-').at(-1) ?? name
}

/** `handler` needs an object: `cancel-handler` says which one. */
function isObjectHandler(name: string): boolean {
  return name.endsWith('-handler')
}

/** Comments that the house does not keep, and suppressions without a reason. */
export function looseEnds(tree: SourceTree): readonly Violation[] {
  return [...tree]
    .filter(([file]) => isTypeScript(file) || file.endsWith('.mjs'))
    .flatMap(([file, text]) =>
      stretchesOf(text)
        .filter((part) => part.kind === 'comment')
        .flatMap((part) => {
          const message = objectionToComment(part.text)
          return message === undefined ? [] : [{ file: `${file}:${part.line}`, message }]
        }),
    )
}

function objectionToComment(comment: string): string | undefined {
  if (/\b(TODO|FIXME|XXX|HACK)\b/.test(comment) && !/https?:\/\/\S+|#\d+/.test(comment)) {
    return 'has a TODO without a link: do it, or say where it is tracked'
  }
  if (/(oxlint|eslint)-disable/.test(comment) && !/--\s*\S+/.test(comment)) {
    return 'suppresses a rule without a reason: add "-- why"'
  }
  if (/@ts-(ignore|nocheck)/.test(comment))
    return 'silences the compiler: fix the type, or @ts-expect-error with why'
  if (/@ts-expect-error\s*(\*\/)?\s*$/.test(comment)) return 'silences the compiler without saying why'
  if (/^\/\/\s*(import|export|const|let|if|for|return|await)\b.*[({;=]/.test(comment))
    return 'is commented-out code'
  return undefined
}
