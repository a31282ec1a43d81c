/**
 * Part of `npm run build`: bundles the program from `src/` into a few files under `dist/`, with the source maps of what is
 * ours, and keeps beside each what V8 compiles it to (docs/adr/0016-a-fast-start.md). What has not changed stays as it
 * is: a demo may run from it. Beside it lies the dashboard, for browsers (docs/adr/0032-the-dashboard.md).
 */
import { createHash } from 'node:crypto'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { rolldown } from 'rolldown'
import { root } from './child.mjs'

const dist = join(root, 'dist')
const folder = join(dist, 'program')
const next = join(dist, 'program.next')
const past = join(dist, 'program.past')
const PACKAGES = 'packages'
const MAIN_FILES = ['main.js', 'program-files.js']
const KEPT = new Set([...MAIN_FILES, 'program', 'client', 'dashboard', '.tsbuildinfo'])

const resolve = { alias: { '#client': join(root, 'client/index.ts') } }
const program = await bundleProgram()
const main = await bundleMain()
writeDashboard(await bundleDashboard())
const isNew = !isThere(folder, program) || !isThere(dist, main)
if (isNew) await replaceProgram()
if (isNew || !hasCompiled(folder)) await keepCompiled(folder)
for (const name of readdirSync(dist)) {
  if (!KEPT.has(name)) rmSync(join(dist, name), { recursive: true, force: true })
}

/**
 * What runs: CommonJS, since of the two kinds of module only that one can be kept compiled on Node 20.
 * @returns {Promise<Map<string, string>>} names with contents
 */
async function bundleProgram() {
  const bundle = await rolldown({
    cwd: root,
    input: { program: 'src/program.ts' },
    platform: 'node',
    resolve,
    // It looks for its WebAssembly beside itself.
    external: ['libpg-query'],
    // `pg` makes a Response to see whether it runs at Cloudflare, which loads the whole of fetch: 24 ms at each start.
    transform: { define: { Response: 'undefined' } },
  })
  const { output } = await bundle.generate({
    dir: folder,
    format: 'cjs',
    entryFileNames: '[name].cjs',
    chunkFileNames: '[name].cjs',
    sourcemap: 'hidden',
    // V8 keeps the text of what it runs, with two bytes a character where one needs them: this makes a process smaller by 13 MB. Names stay.
    minify: { compress: false, mangle: false, codegen: { removeWhitespace: true, asciiOnly: true } },
    // Of packages nobody asks for lines: apart from ours, the maps are small enough to be read when an error is told.
    codeSplitting: { groups: [{ name: PACKAGES, test: /node_modules/, entriesAware: true }] },
  })
  await bundle.close()
  /** @type {Map<string, string>} */
  const files = new Map()
  for (const file of output) {
    if (file.type === 'chunk') {
      const id = createHash('sha256').update(file.code).digest('hex')
      files.set(file.fileName, `${file.code}\n// build ${id}\n`)
    } else if (!file.fileName.startsWith(PACKAGES)) {
      const map = { ...JSON.parse(String(file.source)), sourcesContent: undefined }
      files.set(file.fileName, JSON.stringify(map))
    }
  }
  return files
}

/**
 * The bin: a module, and small, so that an old Node gets as far as the sentence that says what is wanted.
 * @returns {Promise<Map<string, string>>} names with contents
 */
async function bundleMain() {
  const input = { main: 'src/main.ts', 'program-files': 'src/platform/program-files.ts' }
  const bundle = await rolldown({ cwd: root, input, platform: 'node', resolve })
  const names = { entryFileNames: '[name].js', chunkFileNames: '[name].js' }
  const { output } = await bundle.generate({ dir: dist, format: 'esm', ...names })
  await bundle.close()
  return new Map(output.flatMap((file) => (file.type === 'chunk' ? [[file.fileName, file.code]] : [])))
}

/**
 * What a browser loads: one module, and the files that it names. Small, since it is looked at over bad connections.
 * @returns {Promise<Map<string, string>>} names with contents
 */
async function bundleDashboard() {
  const source = join(root, 'dashboard')
  const bundle = await rolldown({
    cwd: root,
    input: { dashboard: 'dashboard/main.tsx' },
    platform: 'browser',
    resolve,
    tsconfig: join(source, 'tsconfig.json'),
  })
  const { output } = await bundle.generate({ format: 'esm', entryFileNames: '[name].js', minify: true })
  await bundle.close()
  /** @type {Map<string, string>} */
  const files = new Map()
  for (const file of output) if (file.type === 'chunk') files.set(file.fileName, file.code)
  for (const name of ['index.html', 'dashboard.css', 'icon.svg'])
    files.set(name, readFileSync(join(source, name), 'utf8'))
  return files
}

/** @param {Map<string, string>} files */
function writeDashboard(files) {
  const where = join(dist, 'dashboard')
  if (isThere(where, files)) return
  rmSync(where, { recursive: true, force: true })
  mkdirSync(where, { recursive: true })
  for (const [name, text] of files) {
    writeFileSync(join(where, name), text)
    writeFileSync(join(where, `${name}.gz`), gzipSync(text, { level: 9 }))
  }
}

/** Order: everything new lies there, compiled, before it takes the place of what may be starting just now. */
async function replaceProgram() {
  rmSync(next, { recursive: true, force: true })
  mkdirSync(next, { recursive: true })
  for (const [name, text] of program) writeFileSync(join(next, name), text)
  for (const [name, text] of main) {
    writeFileSync(join(dist, `${name}.next`), text)
    renameSync(join(dist, `${name}.next`), join(dist, name))
  }
  chmodSync(join(dist, 'main.js'), 0o755)
  await keepCompiled(next)
  rmSync(past, { recursive: true, force: true })
  if (existsSync(folder)) renameSync(folder, past)
  renameSync(next, folder)
}

/** @param {string} where */
async function keepCompiled(where) {
  const { keepCompiled: keep } = await import(join(dist, 'program-files.js'))
  keep(
    where,
    [...program.keys()].filter((name) => name.endsWith('.cjs')),
  )
}

/** @param {string} where */
function hasCompiled(where) {
  return readdirSync(where).some((name) => name.endsWith(`${process.version}-${process.arch}`))
}

/**
 * @param {string} where
 * @param {Map<string, string>} files
 */
function isThere(where, files) {
  return [...files].every(([name, text]) => {
    const path = join(where, name)
    return existsSync(path) && readFileSync(path, 'utf8') === text
  })
}
