import { clusterChecks, nodeChecks, planChecks } from '../../src/doctor/diagnose.ts'

type Described = { readonly name: string; readonly about: string }

/** `docs/reference/doctor.md`. */
export function doctorReference(): string {
  return [
    '# Doctor',
    '',
    'Generated from `src/doctor` by `npm run docs`; do not edit.',
    '',
    '`pg-metako doctor` asks every member that answers to look at itself, now, and puts together what is only seen when all are looked at.',
    'It changes nothing. With `--config FILE` the file is judged too; where no agent of that cluster answers, so is the host that it is for,',
    'before its agent is started. Looking at a member needs its token (`GET /v1/doctor`).',
    '',
    '| severity | meaning | exit code |',
    '|---|---|---|',
    '| `ok` | looked at, and well; shown with `--all` | 0 |',
    '| `note` | worth knowing | 0 |',
    '| `warning` | will hurt | 1 |',
    '| `error` | hurts, or will when it is needed | 2 |',
    '',
    'The exit codes are those of monitoring plugins: the worst severity counts, and 3 says that nobody answers. Every warning and error',
    'has evidence with numbers, a stable `code`, and a `fix`; `--format json`, `yaml` and `tsv` have all of them.',
    '',
    '## Of every member, by its own agent',
    '',
    ...table(nodeChecks),
    '',
    '## Of the cluster, over all members',
    '',
    ...table(clusterChecks),
    '',
    '## Before the agent runs',
    '',
    'With `--config`, beside those checks of a member that need no agent: runtime, disk-space, disk-flush, certificates.',
    '',
    ...table(planChecks),
    '',
  ].join('\n')
}

function table(checks: readonly Described[]): readonly string[] {
  return [
    '| check | what is looked at |',
    '|---|---|',
    ...checks.map(({ name, about }) => `| ${name} | ${about} |`),
  ]
}
