import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'

/** One file of the dashboard, as it was built. */
export type DashboardFile = {
  readonly mediaType: string
  readonly body: Buffer
  readonly gzip: Buffer
  /** Of its content. */
  readonly etag: string
}

/** By name, such as `index.html`. */
export type DashboardFiles = ReadonlyMap<string, DashboardFile>

const DASHBOARD_PATH = '/dashboard'

/** Everything comes from here, nothing may be put in between, and no other page may show it in a frame. */
const HEADERS = {
  'content-security-policy':
    "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
} as const

/** The page, and a way there from `/` for whoever asks with a browser: to all others `/` stays a health check. */
export function addDashboardRoutes(app: FastifyInstance, files: DashboardFiles): void {
  const page = files.get('index.html')
  if (!page) return
  app.get(`${DASHBOARD_PATH}`, (request, reply) => {
    // Without the slash the page's own paths would lead elsewhere.
    if (!request.url.split('?', 1)[0]?.endsWith('/')) return reply.redirect(`${DASHBOARD_PATH}/`, 308)
    return sendFile(page, request, reply)
  })
  for (const [name, file] of files)
    app.get(`${DASHBOARD_PATH}/${name}`, (request, reply) => sendFile(file, request, reply))
  app.addHook('onRequest', async (request, reply) => {
    if (request.method === 'GET' && request.url === '/' && wantsPage(request))
      return reply
        .header('vary', 'accept')
        .header('cache-control', 'no-store')
        .redirect(`${DASHBOARD_PATH}/`, 302)
  })
}

/** Browsers name HTML when a person opens an address; load balancers, probes and command lines do not. */
function wantsPage(request: FastifyRequest): boolean {
  return /\btext\/html\b/.test(request.headers.accept ?? '')
}

function sendFile(file: DashboardFile, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const asked = request.headers['if-none-match']
  reply.headers({ ...HEADERS, etag: file.etag, vary: 'accept-encoding', 'cache-control': 'no-cache' })
  if (asked !== undefined && asked === file.etag) return reply.code(304).send()
  const gzip = /\bgzip\b/.test(request.headers['accept-encoding'] ?? '')
  if (gzip) reply.header('content-encoding', 'gzip')
  return reply.type(file.mediaType).send(gzip ? file.gzip : file.body)
}
