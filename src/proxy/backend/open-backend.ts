import type { RouteTarget } from '../../model/routing-table.ts'
import { connectLean, type Socket } from '../../platform/net.ts'
import { startTls } from '../../platform/tls.ts'
import { codeOf, messageOf } from '../../std/fault.ts'
import { buildSslRequest } from '../../wire/startup.ts'
import { ignoreError } from '../frontend/end-client.ts'
import type { ServerTls } from '../tls/router-tls.ts'

export type OpenOutcome =
  | { readonly kind: 'open'; readonly socket: Socket }
  | { readonly kind: 'failed'; readonly text: string }

/** A dead peer without a reset is noticed by the kernel; the epoch cuts much sooner. */
const KEEP_ALIVE_MS = 10_000
const WILLING = 0x53
const UNWILLING = 0x4e

/**
 * Opens a connection to a PostgreSQL, with TLS where `tls` says so: nothing but the request for that has been sent when it is open.
 * `done` is called once, unless the returned function is called before: then the attempt ends silently. How long it may take is the
 * caller's.
 */
export function openBackend(
  target: RouteTarget,
  tls: ServerTls | undefined,
  done: (outcome: OpenOutcome) => void,
): () => void {
  const { host, port } = target
  const socket = connectLean({
    host,
    port,
    noDelay: true,
    allowHalfOpen: true,
    keepAlive: true,
    keepAliveInitialDelay: KEEP_ALIVE_MS,
  })
  let lastError = ''
  let isOver = false

  function finish(outcome: OpenOutcome): void {
    if (isOver) return
    leave()
    if (outcome.kind === 'failed') socket.destroy()
    done(outcome)
  }
  function leave(): void {
    isOver = true
    socket.off('connect', onConnect)
    socket.off('close', onClose)
    socket.on('error', ignoreError)
    socket.off('error', onError)
  }
  function onConnect(): void {
    if (!tls) return finish({ kind: 'open', socket })
    askForTls(socket, { tls, target }, finish)
  }
  function onError(error: Error): void {
    lastError = `${codeOf(error) ?? 'error'}: ${messageOf(error)}`
  }
  function onClose(): void {
    finish({ kind: 'failed', text: lastError || 'the connection closed' })
  }

  socket.on('connect', onConnect)
  socket.on('error', onError)
  socket.on('close', onClose)
  return () => {
    leave()
    socket.destroy()
  }
}

/** Asks for TLS and begins it. What comes after `done`, or after the end of the socket, counts no more. */
function askForTls(
  socket: Socket,
  { tls, target }: { readonly tls: ServerTls; readonly target: RouteTarget },
  done: (outcome: OpenOutcome) => void,
): void {
  const { host, port } = target
  function fail(text: string): void {
    tls.noteFailure(`${host}:${port}`, text)
    done({ kind: 'failed', text })
  }
  function onEnd(): void {
    done({ kind: 'failed', text: 'it closed the connection before it answered' })
  }
  socket.on('end', onEnd)
  socket.once('data', (answer: Buffer) => {
    socket.off('end', onEnd)
    // What stands behind the answer was said by somebody who saw the request, and who need not be the server.
    if (answer.length > 1) return fail('it sent unencrypted bytes behind its answer to the request for TLS')
    if (answer[0] === UNWILLING && !tls.isDemanded) return done({ kind: 'open', socket })
    if (answer[0] !== WILLING) return fail('it does not speak TLS, which server_tls_sslmode wants')
    startTls(socket, { client: tls.client, host }, (outcome) => {
      if (outcome.kind === 'secure') done({ kind: 'open', socket: outcome.stream })
      else fail(`no TLS with it: ${outcome.reason}`)
    })
  })
  socket.write(buildSslRequest())
}
