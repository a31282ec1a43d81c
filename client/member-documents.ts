/** `GET /v1/members`: who belongs to the cluster, as the asked agent knows it. */
export type MembersDocument = {
  readonly scope: string
  /** The agent that was asked. */
  readonly self: string
  /** False: the registry was not begun yet, and the members are those of the config. */
  readonly isRegistered: boolean
  readonly members: readonly MemberEntry[]
  readonly invitations: readonly InvitationEntry[]
  readonly removed: readonly RemovedEntry[]
}

export type MemberEntry = {
  readonly name: string
  readonly apiHost: string
  readonly apiPort: number
  readonly incarnation?: string
  readonly since?: string
  /** Its part in consensus; `none` while it waits to be taken in, or still leaves. */
  readonly consensus: 'leader' | 'voter' | 'learner' | 'none'
  /** Entries of the consensus log that it lacks; only the leader knows, and only of learners. */
  readonly behind?: number
  readonly reachable: boolean
  readonly heardMsAgo?: number
  /** What its PostgreSQL is doing; absent when it was never heard. */
  readonly state?: string
  readonly role?: 'primary' | 'standby'
  /** It was removed, and consensus has not let it go yet. */
  readonly isLeaving?: true
}

export type InvitationEntry = {
  readonly name: string
  readonly apiHost: string
  readonly apiPort: number
  readonly expiresAt: string
  readonly isUsed: boolean
}

export type RemovedEntry = { readonly name: string; readonly incarnation: string; readonly at: string }

/** Body of `POST /v1/members`. */
export type InviteRequest = { readonly name: string; readonly apiHost: string; readonly apiPort?: number }

/** Answer of `POST /v1/members`: who has the token can join under this name, once, until then. */
export type InviteResult = {
  readonly name: string
  readonly token: string
  readonly expiresAt: string
  /** Agents that can be asked by `pg-metako join`. */
  readonly urls: readonly string[]
}

/** Answer of `DELETE /v1/members/NAME`. */
export type RemoveResult = {
  readonly name: string
  readonly removedAt: string
  /** `done`: out of consensus too. `pending`: the others go on taking it out. */
  readonly consensus: 'done' | 'pending'
  /** Voters that are left, with who becomes one. */
  readonly remaining: readonly string[]
}

/** Body of `POST /v1/join`: proves the token without holding it. */
export type JoinRequest = {
  readonly invitation: string
  /** 32 hex digits, new for every join. */
  readonly nonce: string
  /** Random id of the new consensus log. */
  readonly incarnation: string
  /** HMAC-SHA-256 in hex, with the token's secret as the key. */
  readonly proof: string
}

/** Answer of `POST /v1/join`: a `JoinDocument`, readable with the token only. */
export type JoinAnswer = { readonly nonce: string; readonly sealed: string }

/** Everything that a new node has to know. */
export type JoinDocument = {
  readonly format: 1
  readonly scope: string
  readonly namespace: string
  readonly groupId: string
  readonly name: string
  readonly registry: {
    readonly revision: number
    readonly nodes: readonly {
      readonly name: string
      readonly apiHost: string
      readonly apiPort: number
      readonly incarnation: string
      readonly since: string
    }[]
  }
  readonly secrets: {
    readonly superuserPassword: string
    readonly clusterSecret: string
    readonly apiToken?: string
    readonly replicationPassword?: string
  }
  readonly database: { readonly port: number; readonly username: string }
  readonly tls: boolean
  /** Sections of the configuration that all nodes share, in the words of the file. */
  readonly sections: Readonly<Record<string, Readonly<Record<string, unknown>>>>
}

/** Answer of `POST /v1/members/:name/reinit`: it is asked for, and happens as soon as nothing hangs on the member's data. */
export type ReinitResult = { readonly name: string; readonly from: string }

/** Body of `POST /v1/members/:name/hold`. `reason`: for people, at most 200 characters. */
export type HoldRequest = { readonly reason?: string }

/** Answer of `POST` and `DELETE /v1/members/:name/hold`. */
export type HoldResult = { readonly name: string; readonly held: boolean }

/** Answer of `POST /v1/members/:name/confirm-down`: the others may take over from this primary of this epoch now. */
export type ConfirmDownResult = { readonly name: string; readonly epoch: number }
