import { clusterParameters } from '../model/dynamic-config.ts'

type Parameters = Readonly<Record<string, string>>

/** What is set for the whole cluster, against what this node's own file sets otherwise: there the file decides, as with Patroni. */
export class OwnParameters {
  readonly #own: Parameters
  #settings: string | undefined
  #wanted = '{}'
  #kept: readonly string[] = []

  constructor(own: Parameters) {
    this.#own = Object.fromEntries(Object.entries(own).map(([name, value]) => [name.toLowerCase(), value]))
  }

  /** `settings`: of the whole cluster, as they stand in the store. They hardly ever change. `inForce`: what was taken in of them. */
  against(
    settings: string | undefined,
    inForce: Parameters,
  ): { readonly kept: readonly string[]; readonly isTakenIn: boolean } {
    if (settings !== this.#settings) {
      this.#settings = settings
      const wanted = clusterParameters(settings)
      this.#wanted = JSON.stringify(wanted)
      this.#kept = Object.keys(wanted).filter(
        (name) => this.#own[name] !== undefined && this.#own[name] !== wanted[name],
      )
    }
    return { kept: this.#kept, isTakenIn: JSON.stringify(inForce) === this.#wanted }
  }
}
