import { nearestWord } from './nearest-key.ts'
import type { Place, Problems } from './problem.ts'

const PREFIX = 'PG_METAKO_'
/** Read by other parts of the program. */
const RESERVED = new Set(['PG_METAKO_TOKEN', 'PG_METAKO_PG_BIN', 'PG_METAKO_CACHE_DIR'])
const TEST_PREFIX = 'PG_METAKO_TEST_'
/** Variables that other documents name; what to do instead. */
const FOREIGN: Readonly<Record<string, string>> = {
  PG_METAKO_CONFIG_PATH: 'name the file with --config',
  PG_METAKO_CONFIG: 'name the file with --config',
  PG_METAKO_PORT: 'set PG_METAKO_IDENTITY_API_PORT for the API, PG_METAKO_ROUTER_PRIMARY_PORT for the router',
}

/** The `PG_METAKO_*` variables; remembers which ones were understood. */
export class Environment {
  readonly #variables: ReadonlyMap<string, string>
  readonly #known = new Set<string>()

  constructor(env: Readonly<Record<string, string | undefined>>) {
    const variables = new Map<string, string>()
    for (const [name, value] of Object.entries(env)) {
      // An empty variable is how container tools write "not set".
      if (name.startsWith(PREFIX) && value !== undefined && value !== '') variables.set(name, value)
    }
    this.#variables = variables
  }

  /** The variable's value; its name counts as known from now on. */
  read(name: string): string | undefined {
    this.#known.add(name)
    return this.#variables.get(name)
  }

  /** Call last: warns of every variable that nobody read. */
  tellUnknown(problems: Problems, notFromEnvironment: ReadonlySet<string>): void {
    for (const name of this.#variables.keys()) {
      if (this.#known.has(name) || RESERVED.has(name) || name.startsWith(TEST_PREFIX)) continue
      problems.warning(variablePlace(name), '', this.#unknown(name, notFromEnvironment))
    }
  }

  #unknown(name: string, notFromEnvironment: ReadonlySet<string>): { rule: string; remedy: string } {
    const foreign = FOREIGN[name]
    if (foreign !== undefined)
      return { rule: 'this variable has no meaning here and is not used', remedy: foreign }
    if (notFromEnvironment.has(name)) {
      return {
        rule: 'this key is a list or a mapping, which a variable cannot hold; it is not used',
        remedy: 'write it into the config file',
      }
    }
    const near = nearestWord(
      name.slice(PREFIX.length),
      [...this.#known].map((known) => known.slice(PREFIX.length)),
    )
    return {
      rule: 'there is no such variable; it is not used',
      remedy:
        near === undefined
          ? `see the variables in docs/reference/config.md`
          : `did you mean ${PREFIX}${near}?`,
    }
  }
}

/** What a problem with a variable shows as its place. */
export function variablePlace(name: string): Place {
  return { file: `environment variable ${name}`, line: 0, column: 0 }
}
