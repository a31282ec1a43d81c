import { execFile } from 'node:child_process'
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { REPOSITORY_ROOT } from '../../support/repository-root.ts'

/** Seeds that a planted bug may survive. */
const SEEDS = 50
const RUN_LIMIT_MS = 170_000

const FOLDER = join(REPOSITORY_ROOT, 'test/sim/mutants')

export type Mutant = {
  readonly name: string
  readonly checker: string
  readonly simulation: string
  /** Options of the run, as JSON. */
  readonly run: string
  /** The seed that found it last: it is tried first. */
  readonly first: string
  readonly patch: string
}

export type Verdict =
  | { readonly kind: 'found'; readonly seed: number; readonly message: string }
  | { readonly kind: 'missed'; readonly seeds: number; readonly others: readonly string[] }

export function listMutants(): readonly Mutant[] {
  return readdirSync(FOLDER)
    .filter((file) => file.endsWith('.patch'))
    .toSorted()
    .map((file) => readMutant(file))
}

function readMutant(file: string): Mutant {
  const text = readFileSync(join(FOLDER, file), 'utf8')
  const head = (key: string): string | undefined => new RegExp(`^# ${key}: (.*)$`, 'm').exec(text)?.[1]
  const checker = head('checker')
  if (checker === undefined) throw new Error(`${file} names no checker`)
  return {
    name: file.slice(0, -'.patch'.length),
    checker,
    simulation: head('simulation') ?? 'cluster',
    run: head('run') ?? '{}',
    first: head('first') ?? '1',
    patch: join(FOLDER, file),
  }
}

/** Compiles the simulator as it is, once for all mutants. */
export async function buildSimulator(): Promise<string> {
  await node(['node_modules/typescript/bin/tsc', '-p', 'tsconfig.tools.json'])
  return join(REPOSITORY_ROOT, '.build')
}

/** Builds the simulator with the planted bug and lets it look for a seed that shows it. */
export async function huntMutant(mutant: Mutant, build: string): Promise<Verdict> {
  const folder = join(build, 'mutants', mutant.name)
  rmSync(folder, { recursive: true, force: true })
  try {
    const changed = await plant(mutant, folder)
    for (const part of ['src', 'test', 'client']) {
      cpSync(join(build, part), join(folder, 'built', part), { recursive: true })
    }
    await node([
      'node_modules/typescript/bin/tsc',
      ...['--ignoreConfig', '--noCheck', '--noResolve', '--target', 'ES2023', '--module', 'NodeNext'],
      ...['--rewriteRelativeImportExtensions', '--allowImportingTsExtensions', '--verbatimModuleSyntax'],
      ...['--rootDir', join(folder, 'source'), '--outDir', join(folder, 'built')],
      ...changed.map((file) => join(folder, 'source', file)),
    ])
    const { checker, simulation, run, first } = mutant
    const hunt = join(folder, 'built/test/sim/mutant-run.js')
    const output = await node([
      hunt,
      `--simulation=${simulation}`,
      `--checker=${checker}`,
      `--seeds=${SEEDS}`,
      `--first=${first}`,
      `--run=${run}`,
    ])
    return JSON.parse(output) as Verdict
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** The changed sources, in a folder of their own. Fails where the patch does not apply. */
async function plant({ patch }: Mutant, folder: string): Promise<readonly string[]> {
  const text = readFileSync(patch, 'utf8')
  const changed = [...text.matchAll(/^\+\+\+ b\/(.*)$/gm)].map((match) => match[1] ?? '')
  for (const file of changed) {
    const copy = join(folder, 'source', file)
    mkdirSync(dirname(copy), { recursive: true })
    cpSync(join(REPOSITORY_ROOT, file), copy)
  }
  // Outside of any repository for git: it would pass over what lies below an ignored folder.
  await run('git', ['apply', '--whitespace=nowarn', patch], join(folder, 'source'), {
    GIT_CEILING_DIRECTORIES: join(folder),
  })
  return changed
}

function node(args: readonly string[]): Promise<string> {
  return run(process.execPath, args, REPOSITORY_ROOT)
}

function run(
  program: string,
  args: readonly string[],
  cwd: string,
  env: Readonly<Record<string, string>> = {},
): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = {
      cwd,
      timeout: RUN_LIMIT_MS,
      env: { ...process.env, ...env },
      maxBuffer: 16 * 1024 * 1024,
    }
    execFile(program, [...args], options, (error, output, errors) => {
      if (error instanceof Error) reject(new Error(`${error.message}\n${output}\n${errors}`))
      else resolve(output)
    })
  })
}
