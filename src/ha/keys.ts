/** Keys of Patroni's etcd v3 layout, and ours beside them (design.md §4). */
export type Keys = ReturnType<typeof keysOf>

export function keysOf(namespace: string, scope: string) {
  const root = `/${namespace.replaceAll(/^\/+|\/+$/g, '')}/${scope}/`
  return {
    root,
    initialize: `${root}initialize`,
    leader: `${root}leader`,
    history: `${root}history`,
    failover: `${root}failover`,
    /** Position of the primary, for tools of Patroni alone. */
    status: `${root}status`,
    /** What is set for the whole cluster while it runs, as JSON. */
    config: `${root}config`,
    members: `${root}members/`,
    member: (name: string) => `${root}members/${name}`,
    epoch: `${root}metako/epoch`,
    losses: `${root}metako/losses/`,
    failovers: `${root}metako/failovers/`,
    failoverRecord: (epoch: number) => `${root}metako/failovers/${epoch}`,
    /** An operator's word that the PostgreSQL of a silent holder does not run. */
    confirmedDown: `${root}metako/confirmed-down`,
    /** An operator's order to clone this member anew. */
    reinit: (name: string) => `${root}metako/reinit/${name}`,
    /** An operator's order to start the PostgreSQL of this member anew. */
    restart: (name: string) => `${root}metako/restart/${name}`,
    /** An operator's wish that this member is out of service until he takes it back. */
    hold: (name: string) => `${root}metako/hold/${name}`,
    /** Orders for later (docs/adr/0041): the core does not know them. */
    scheduled: `${root}metako/scheduled/`,
    scheduledSwitchover: `${root}metako/scheduled/switchover`,
    scheduledRestarts: `${root}metako/scheduled/restart/`,
    scheduledRestart: (name: string) => `${root}metako/scheduled/restart/${name}`,
    /** The registry of members was begun: from then on it counts, not the config. */
    membership: `${root}metako/membership`,
    nodes: `${root}metako/nodes/`,
    node: (name: string) => `${root}metako/nodes/${name}`,
    removedNodes: `${root}metako/removed/`,
    removedNode: (name: string, incarnation: string) => `${root}metako/removed/${name}#${incarnation}`,
    invitations: `${root}metako/invitations/`,
    invitation: (id: string) => `${root}metako/invitations/${id}`,
    loss: (epoch: number, member: string) => `${root}metako/losses/${epoch}-${member}`,
  } as const
}
