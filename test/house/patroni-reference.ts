import { OWN_SECTIONS, PATRONI_KEYS, type PatroniRule } from '../../src/config/patroni/patroni-keys.ts'

/** What becomes of Patroni's own file, from the table that reads it. */
export function patroniText(): string {
  const of = (kind: PatroniRule['kind']) =>
    Object.entries(PATRONI_KEYS).filter(([, rule]) => rule.kind === kind)
  const same = of('as').map(
    ([name, rule]) => `\`${name}\`${rule.kind === 'as' && rule.key !== name ? ` → \`${rule.key}\`` : ''}`,
  )
  const read = of('read').map(([name]) => `\`${name}\``)
  return `## Patroni's own file

A file with \`scope\`, \`restapi\` or \`bootstrap.dcs\` and without \`identity\` is a \`patroni.yml\`: it is read as it is, as a file or a folder of files, and
\`PATRONI_*\` variables go before it (\`PATRONI_CONFIGURATION\` is a whole file). [Coming from Patroni](../from-patroni.md) says what differs.

- **Same meaning:** ${same.join(', ')}.
- **Read together with others:** ${read.join(', ')}.
- **Defaults** are Patroni's: \`ha.lease_ttl\` is its \`ttl\` (30 s), \`ha.primary_start_timeout\` 300 s, \`replication.mode\` \`async\`, \`watchdog.mode\`
  \`automatic\`, and there is no router.
- **Sections of pg-metako** may stand in the same file and count before what Patroni's keys say: ${[
    ...OWN_SECTIONS,
  ]
    .toSorted()
    .map((name) => `\`${name}\``)
    .join(', ')}.
- **\`bootstrap.dcs\`** is read at every start, on every node, and counts before what is set for the whole cluster while it runs.
- **Roles** of \`bootstrap.users\` that are the superuser's or the replication's are created with the passwords of \`authentication\`.

| refused, since it would be missed | why | instead |
|---|---|---|
${of('absent')
  .map(([name, rule]) =>
    rule.kind === 'absent' ? `| \`${name}\`${unless(rule)} | ${rule.rule} | ${rule.remedy} |` : '',
  )
  .join('\n')}

| does nothing, and says so once | why |
|---|---|
${of('idle')
  .map(([name, rule]) => (rule.kind === 'idle' ? `| \`${name}\` | ${rule.why} |` : ''))
  .join('\n')}
`
}

/** Some are refused only where they ask for something. */
function unless(rule: { readonly unless?: RegExp }): string {
  return rule.unless ? ' (where it is set)' : ''
}
