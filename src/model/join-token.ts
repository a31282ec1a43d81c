/**
 * The words of an invitation, for both ends: what the token looks like, and the texts that are proven and that keys are
 * derived from. The token itself never travels: who has it proves that, and gets the answer under a key that only they share.
 */
export type JoinToken = { readonly invitation: string; readonly secret: string }

const TOKEN = /^([0-9a-f]{16})\.([A-Za-z0-9_-]{43})$/

/** `undefined` for what cannot be a token. */
export function parseJoinToken(text: string): JoinToken | undefined {
  const match = TOKEN.exec(text.trim())
  return match?.[1] && match[2] ? { invitation: match[1], secret: match[2] } : undefined
}

export function joinTokenText({ invitation, secret }: JoinToken): string {
  return `${invitation}.${secret}`
}

/** What the secret of an invitation is derived from, with the cluster secret as the key. */
export function invitationContext(invitation: string, name: string): string {
  return JSON.stringify(['pg-metako invitation', invitation, name])
}

export type JoinAsk = { readonly invitation: string; readonly nonce: string; readonly incarnation: string }

/** What the joining node proves with the secret: nobody can make it speak for another log. */
export function joinProofContext({ invitation, nonce, incarnation }: JoinAsk): string {
  return JSON.stringify(['pg-metako join proof', invitation, nonce, incarnation])
}

/** What the key of the answer is derived from, with the secret: fresh on both sides. */
export function joinAnswerContext(ask: JoinAsk, answerNonce: string): string {
  return JSON.stringify(['pg-metako join answer', ask.invitation, ask.nonce, ask.incarnation, answerNonce])
}
