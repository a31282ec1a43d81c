/** How members reach each other. The connection has proven who `peer` is. */
export type RaftTransport = {
  /** Best effort and at once: may lose, delay, double or reorder; must not wait, throw or queue without a limit. */
  send(peer: string, message: Uint8Array): void
  /** Returns the function that ends it. */
  onMessage(listener: (peer: string, message: Uint8Array) => void): () => void
  /** Optional: a connection to a member that was up broke. Shortens an election; a false alarm costs nothing. */
  onPeerLost?(listener: (peer: string) => void): () => void
}
