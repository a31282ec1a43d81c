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
    members: `${root}members/`,
    member: (name: string) => `${root}members/${name}`,
    epoch: `${root}metako/epoch`,
    losses: `${root}metako/losses/`,
    loss: (epoch: number, member: string) => `${root}metako/losses/${epoch}-${member}`,
  } as const
}
