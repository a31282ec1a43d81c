import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { runCommand, tools } from '../scripts/child.mjs'
import { runSteps } from '../scripts/steps.mjs'
import { repositoryRoot } from './house/source-tree.ts'

/** Every tool of the gate, with the project's own settings, on a tree with one mistake. The linter has `lint.test.ts`. */
describe('the gate', () => {
  const folder = mkdtempSync(join(tmpdir(), 'pg-metako-gate-'))
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  for (const name of ['.oxfmtrc.json', 'tsconfig.base.json', 'knip.json']) {
    cpSync(repositoryRoot + name, join(folder, name))
  }
  symlinkSync(`${repositoryRoot}node_modules`, join(folder, 'node_modules'))
  const manifest = JSON.parse(readFileSync(`${repositoryRoot}package.json`, 'utf8')) as Record<
    string,
    unknown
  >
  plant(folder, {
    'package.json': JSON.stringify({
      ...manifest,
      scripts: {},
      workspaces: [],
      dependencies: { yaml: '*' },
      devDependencies: {},
      optionalDependencies: {},
    }),
    'tsconfig.json':
      '{ "extends": "./tsconfig.base.json", "compilerOptions": { "noEmit": true }, "include": ["src"] }',
    'src/main.ts': "import { used } from './planted.ts'\nused()\n",
    'src/planted.ts':
      "export function used(): number {\n  return 'text';\n}\n\nexport const unusedExport = 1\n",
    'src/unused-file.ts': 'export {}\n',
  })
  const run = (command: readonly string[]) =>
    runCommand(command, { quiet: true, timeoutMs: 60_000, cwd: folder })

  it('sees a file that is not formatted', async () => {
    const { code, output } = await run([...absolute(tools.oxfmt), '--check', 'src'])
    expect(code).not.toBe(0)
    expect(output).toContain('src/planted.ts')
    expect(output).not.toContain('src/main.ts')
  })

  it('sees a type that does not fit', async () => {
    const { code, output } = await run([...absolute(tools.tsc), '--noEmit', '-p', '.'])
    expect(code).not.toBe(0)
    expect(output).toMatch(/src\/planted\.ts.*TS2322/)
  })

  it('sees dead code and dependencies that nobody uses', async () => {
    const { code, output } = await run([...absolute(tools.knip), '--no-progress'])
    expect(code).not.toBe(0)
    expect(output).toMatch(/unusedExport/)
    expect(output).toMatch(/src\/unused-file\.ts/)
    expect(output).toMatch(/yaml +package\.json/)
  })

  it('goes on after a step that failed, shows what it said and counts it', async () => {
    const node = (source: string) => [process.execPath, '-e', source]
    let text = ''
    const failures = await runSteps(
      [
        {
          name: 'first',
          command: node("console.log('broken here'); process.exit(3)"),
          remedy: 'npm run mend',
        },
        { name: 'second', command: node("console.log('nobody sees this')") },
        { name: 'third', command: ['/nonexistent/tool'] },
      ],
      (part) => (text += part),
    )
    expect(failures).toBe(2)
    expect(text).toMatch(/^first +FAILED .*\nbroken here\n→ npm run mend\nsecond +ok .*\nthird +FAILED/)
    expect(text).toContain('2 of 3 steps failed')
    expect(text).not.toContain('nobody sees this')
  })

  it('ends what takes too long, with all that it started', async () => {
    const sleeper = "require('child_process').spawn('sleep', ['60'], { stdio: 'inherit' })"
    const { code, timedOut } = await runCommand([process.execPath, '-e', sleeper], {
      quiet: true,
      timeoutMs: 300,
    })
    expect(timedOut).toBe(true)
    expect(code).not.toBe(0)
  })
})

function absolute([node = '', script = '']: readonly string[]): readonly string[] {
  return [node, repositoryRoot + script]
}

function plant(folder: string, files: Readonly<Record<string, string>>): void {
  for (const [file, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, file)), { recursive: true })
    writeFileSync(join(folder, file), text)
  }
}
