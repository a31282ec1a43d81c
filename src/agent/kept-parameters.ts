import { clusterParameters } from '../model/dynamic-config.ts'

/** Parameters that are set for the whole cluster, and that this node's own file sets otherwise: there the file decides, as with Patroni. */
export class KeptParameters {
  readonly #own: Readonly<Record<string, string>>
  #settings: string | undefined
  #names: readonly string[] = []

  constructor(own: Readonly<Record<string, string>>) {
    this.#own = Object.fromEntries(Object.entries(own).map(([name, value]) => [name.toLowerCase(), value]))
  }

  /** `settings`: of the whole cluster, as they stand in the store. They hardly ever change. */
  against(settings: string | undefined): readonly string[] {
    if (settings === this.#settings) return this.#names
    this.#settings = settings
    const wanted = clusterParameters(settings)
    this.#names = Object.keys(wanted).filter(
      (name) => this.#own[name] !== undefined && this.#own[name] !== wanted[name],
    )
    return this.#names
  }
}
