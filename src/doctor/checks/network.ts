import type { NodeFacts } from '#client'
import { error, note, ok, warning, type Check } from '../diagnosis.ts'

/** A heartbeat a tenth of a second: with more than this a lease of 3 s has room for few of them. */
const ROUND_TRIP_WANTED_MS = 20
const ROUND_TRIP_MAX_MS = 100

export const network: Check<NodeFacts> = {
  name: 'network',
  about: 'every other agent is reached from here, and how quickly',
  judge: ({ peers, setup }) => [
    ...peers.map(({ name, api, roundTripMs, apiTrouble }) => {
      if (roundTripMs === undefined)
        return error(
          'PEER_UNREACHABLE',
          `it does not reach the agent of ${name} at ${api}: ${apiTrouble ?? 'no answer'}`,
          `Start the agent of ${name}, or let this host reach ${api}: routes, firewall, identity.api_host`,
        )
      const evidence = `${name} is ${roundTripMs} ms away`
      if (roundTripMs >= ROUND_TRIP_MAX_MS)
        return warning(
          'ROUND_TRIP_LONG',
          `${evidence}: leases of the profile lan will run out by chance`,
          'Set ha.profile: wan on all nodes',
        )
      return roundTripMs >= ROUND_TRIP_WANTED_MS
        ? note(
            'ROUND_TRIP',
            `${evidence}: each commit in quorum mode takes as long`,
            'Consider ha.profile: wan',
          )
        : ok('ROUND_TRIP', evidence)
    }),
    ...(setup.isApiTls || peers.length === 0
      ? []
      : [
          note(
            'API_IS_PLAIN',
            `agents speak to each other without TLS: proven by the cluster secret, and readable on the way`,
            'Set security.tls_enabled with cert_file and key_file on all nodes',
          ),
        ]),
  ],
}
