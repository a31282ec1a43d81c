/** Whom a witness runs as: its host need not have the user of a PostgreSQL. */
export const WITNESS_USER = 'pg-metako'

/** The systemd unit of a node: the text of deploy/systemd/pg-metako.service, for a config file of any name, and for a witness. */
export function unitText(configFile: string, isWitness = false): string {
  const user = isWitness ? WITNESS_USER : 'postgres'
  return `# /etc/systemd/system/pg-metako.service
[Unit]
Description=pg-metako: PostgreSQL high availability
Documentation=file:/usr/lib/node_modules/pg-metako/README.md
# PostgreSQL is started by the agent: no Requires= or After=postgresql.service here.
After=network-online.target
Wants=network-online.target
# A crash loop must not end in "start request repeated too quickly": the node would stay away for good.
StartLimitIntervalSec=0

[Service]
Type=simple
User=${user}
Group=${user}
ExecStart=/usr/bin/env pg-metako${isWitness ? ' witness' : ''} --config ${configFile}
# An agent that is back within the lease (3 s) costs no failover.
Restart=always
RestartSec=1
# PostgreSQL, guard and router outlive their agent; the next one adopts them.
KillMode=process
# A planned stop hands the primary over first.
TimeoutStopSec=60
OOMScoreAdjust=-900
LimitNOFILE=65536
StateDirectory=pg-metako
RuntimeDirectory=pg-metako
RuntimeDirectoryPreserve=yes

[Install]
WantedBy=multi-user.target
`
}
