/** A client's request to cancel what it runs, as it crosses between processes and nodes: who has the key acts. `secret` in base64. */
export type CancelOrder = { readonly processId: number; readonly secret: string }
