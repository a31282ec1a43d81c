/** Codes of requests that the API does not take: see `errorCodes`, which has them too. */
export const apiErrorCodes = {
  API_UNAUTHENTICATED: {
    meaning: 'A request that changes something came without the token, or with a wrong one.',
    remedy: 'Send `Authorization: Bearer TOKEN`; the CLI finds it by `--config` or `PG_METAKO_TOKEN`.',
  },
  API_CROSS_ORIGIN: {
    meaning: 'A web page of another origin tried to change something.',
    remedy: "Use the CLI, or a page of the agent's own address.",
  },
  API_ADDRESS_DENIED: {
    meaning: 'A change came from an address that changes are not taken from.',
    remedy: 'Ask from a host of `security.allowlist`, or add this one to it.',
  },
  API_CERTIFICATE_REQUIRED: {
    meaning: 'A change came without a certificate, or with one that `security.ca_file` did not sign.',
    remedy: 'Show one: `ctl.cert_file` and `ctl.key_file` of the config that the CLI is given.',
  },
  API_ROUTE_UNKNOWN: {
    meaning: 'There is no such path.',
    remedy: "Compare the path with the list in the answer's documentation.",
  },
  API_METHOD_NOT_ALLOWED: {
    meaning: 'The path exists, and does not take this method.',
    remedy: 'Use a method that the header `Allow` names.',
  },
  API_REQUEST_MALFORMED: {
    meaning: 'The request is not valid HTTP, or not what this path takes.',
    remedy: 'Correct the request.',
  },
  API_BODY_NOT_JSON: {
    meaning: 'The body is not JSON.',
    remedy: 'Send JSON, with `Content-Type: application/json`.',
  },
  API_BODY_INVALID: {
    meaning: 'The body is JSON and not what this path takes.',
    remedy: 'Correct the field that the detail names.',
  },
  API_BODY_TOO_LARGE: {
    meaning: 'The body is larger than the limit.',
    remedy: 'Send less: no request of this API needs so much.',
  },
  API_QUERY_INVALID: {
    meaning: 'A query parameter has a value that cannot be read.',
    remedy: 'Correct the parameter that the detail names.',
  },
  API_INTERNAL: {
    meaning: 'The request met a defect of the agent. Everything else goes on.',
    remedy: "Report it with the agent's log lines of that moment.",
  },
} as const
