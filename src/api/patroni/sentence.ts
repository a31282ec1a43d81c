import type { FastifyReply } from 'fastify'

/** What Patroni answers where others send JSON; `patronictl` prints it as it is. */
export type Sentence = { readonly status: number; readonly text: string }

export function say(reply: FastifyReply, { status, text }: Sentence): FastifyReply {
  return reply.code(status).type('text/plain; charset=utf-8').send(text)
}
