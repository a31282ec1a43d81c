export type Endpoint = {
  /** Without a slash at the end. */
  readonly url: string
  /** When it last answered as a member of a quorum; minus infinity after a failure. */
  heardAt: number
  /** When it last failed; 0 when it has answered since. */
  failedAt: number
}

/** Who is asked first. One that failed comes last until it has answered again, the one that failed longest ago before others. */
export class Endpoints {
  readonly #all: Endpoint[]
  readonly #now: () => number

  constructor(urls: readonly string[], now: () => number) {
    this.#all = urls.map((url) => ({
      url: url.replace(/\/+$/, ''),
      heardAt: Number.NEGATIVE_INFINITY,
      failedAt: 0,
    }))
    this.#now = now
  }

  order(): readonly Endpoint[] {
    return this.#all.toSorted((left, right) => left.failedAt - right.failedAt)
  }

  heard(endpoint: Endpoint): void {
    endpoint.heardAt = this.#now()
    endpoint.failedAt = 0
  }

  failed(endpoint: Endpoint): void {
    endpoint.heardAt = Number.NEGATIVE_INFINITY
    endpoint.failedAt = this.#now()
  }

  /** It answered within the last `ms`: it is not stuck, as far as one can know. */
  wasHeard(endpoint: Endpoint, ms: number): boolean {
    return this.#now() - endpoint.heardAt <= ms
  }
}
