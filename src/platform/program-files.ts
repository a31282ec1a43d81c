import { readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { constants, Script } from 'node:vm'

/*
 * Loads the files that the build bundled the program into. Beside each lies what V8 made of it when it was built: with
 * that a process is up in a third of the time, and three agents that were killed together are back within their lease
 * (docs/adr/0016-a-fast-start.md).
 */

type Exports = Record<string, unknown>
type Loaded = {
  readonly script: Script
  readonly file: string
  readonly id: string
  readonly module: { exports: Exports }
}
// oxlint-disable-next-line max-params -- the signature is that of Node's own modules
type Wrapper = (
  exports: Exports,
  require: (name: string) => unknown,
  module: { exports: Exports },
  filename: string,
  folder: string,
) => void

const ENTRY = 'program.cjs'
const BEFORE = '(function (exports, require, module, __filename, __dirname) {'
/** The build ends every file with it: V8 itself compares nothing but the length of a text. */
const BUILD_ID = /\/\/ build ([0-9a-f]{64})\n$/
const ID_BYTES = 64

/** Runs the program's entry and returns what it exports. */
export function loadProgram<Program>(folder: URL): Program {
  return new ProgramFiles(fileURLToPath(folder)).load(ENTRY) as Program
}

/** For the build: loads these files and keeps what V8 made of them for the next process. */
export function keepCompiled(folder: string, files: readonly string[]): void {
  const program = new ProgramFiles(folder)
  for (const file of files) program.load(file)
  program.keepCompiled()
}

class ProgramFiles {
  readonly #folder: string
  readonly #loaded = new Map<string, Loaded>()

  constructor(folder: string) {
    this.#folder = folder
  }

  load(name: string): Exports {
    const known = this.#loaded.get(name)
    if (known) return known.module.exports
    const file = join(this.#folder, name)
    const text = readFileSync(file, 'utf8')
    const id = BUILD_ID.exec(text.slice(-2 * ID_BYTES))?.[1] ?? ''
    const script = new Script(`${BEFORE}${text}\n})`, {
      // Kept with the rest, so it must say nothing of the machine that built it; `source-place.ts` knows it.
      filename: `program/${name}`,
      columnOffset: -BEFORE.length,
      cachedData: compiledFor(file, id),
      importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
    })
    const module = { exports: {} }
    // Order: it is known before it runs, so that two files may need each other, as in Node.
    this.#loaded.set(name, { script, file, id, module })
    const packages = createRequire(file)
    const need = (wanted: string): unknown =>
      wanted.startsWith('./') ? this.load(wanted.slice('./'.length)) : packages(wanted)
    const run = script.runInThisContext() as Wrapper
    run(module.exports, need, module, file, dirname(file))
    return module.exports
  }

  keepCompiled(): void {
    for (const { script, file, id } of this.#loaded.values()) {
      writeFileSync(compiledFile(file), Buffer.concat([Buffer.from(id, 'latin1'), script.createCachedData()]))
    }
  }
}

/** Of another build, or absent: V8 compiles the text, which is slower and nothing else. It refuses by itself what another V8 made. */
function compiledFor(file: string, id: string): Buffer | undefined {
  let kept: Buffer
  try {
    kept = readFileSync(compiledFile(file))
  } catch {
    return undefined
  }
  const isOfThisBuild = id !== '' && kept.toString('latin1', 0, ID_BYTES) === id
  return isOfThisBuild ? kept.subarray(ID_BYTES) : undefined
}

function compiledFile(file: string): string {
  return `${file}.${process.version}-${process.arch}`
}
