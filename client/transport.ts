export type HttpRequest = {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE'
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | undefined
  /** Aborts the request; its reason is thrown. */
  readonly signal: AbortSignal
  /** A longer answer is an error: `TooLarge`. */
  readonly maxBytes: number
}

export type HttpAnswer = { readonly status: number; readonly mediaType: string; readonly body: string }

/** One HTTP exchange. Rejects when there is no whole answer. Replace it for a private CA, a proxy or a Unix socket. */
export type HttpTransport = (request: HttpRequest) => Promise<HttpAnswer>

/** The transport of browsers and of Node: the global `fetch`. Follows no redirect: a token must not travel on. */
export const fetchTransport: HttpTransport = async (request) => {
  const response = await fetch(request.url, {
    method: request.method,
    headers: request.headers,
    signal: request.signal,
    redirect: 'error',
    credentials: 'omit',
    ...(request.body === undefined ? {} : { body: request.body }),
  })
  return {
    status: response.status,
    mediaType: mediaTypeOf(response.headers.get('content-type')),
    body: await readBody(response, request.maxBytes),
  }
}

/** `application/json` from `application/json; charset=utf-8`. */
function mediaTypeOf(header: string | null | undefined): string {
  return (header ?? '').split(';')[0]?.trim().toLowerCase() ?? ''
}

/** The answer is longer than the caller wants to hold in memory. */
export class TooLarge extends Error {
  override readonly name = 'TooLarge'
}

async function readBody(response: Response, maxBytes: number): Promise<string> {
  if (!response.body) return ''
  const reader = response.body.getReader()
  const decoder = new TextDecoder()
  let text = ''
  let bytes = 0
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return text + decoder.decode()
    bytes += value.byteLength
    if (bytes > maxBytes) {
      await reader.cancel()
      throw new TooLarge(`The answer has more than ${maxBytes} bytes`)
    }
    text += decoder.decode(value, { stream: true })
  }
}
