import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { keepCompiled, loadProgram } from './program-files.ts'

type Program = { readonly answer: () => string }

/** As the build ends a file: the same text always has the same id here, and another text another. */
function built(code: string, id: string): string {
  return `${code}\n// build ${id.repeat(64)}\n`
}

describe('the files of the program', () => {
  let folder: string
  const load = () => loadProgram<Program>(pathToFileURL(`${folder}/`)).answer()
  const write = (name: string, text: string) => writeFileSync(join(folder, name), text)

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'metako-program-'))
    write('program.cjs', built("const part = require('./part.cjs'); exports.answer = () => part.word", 'a'))
    write('part.cjs', built("exports.word = 'one' + require('node:path').sep", 'b'))
  })

  afterEach(() => rmSync(folder, { recursive: true }))

  it('are loaded with what they need, compiled before or not', () => {
    expect(load()).toBe('one/')
    keepCompiled(folder, ['program.cjs', 'part.cjs'])
    expect(readdirSync(folder).filter((name) => name.endsWith(process.arch))).toHaveLength(2)
    expect(load()).toBe('one/')
  })

  it('are never run as another build of the same length was compiled', () => {
    keepCompiled(folder, ['program.cjs'])
    write('part.cjs', built("exports.word = 'two' + require('node:path').sep", 'c'))
    expect(load()).toBe('two/')
  })

  it('are compiled anew where what was kept is cut off or of nobody knows which build', () => {
    keepCompiled(folder, ['program.cjs'])
    for (const name of readdirSync(folder).filter((file) => file.endsWith(process.arch))) {
      write(name, 'b'.repeat(70))
    }
    expect(load()).toBe('one/')
    write('part.cjs', "exports.word = 'three'")
    expect(load()).toBe('three')
  })

  it('may need each other', () => {
    write('part.cjs', built("const it = require('./program.cjs'); exports.word = typeof it", 'd'))
    expect(load()).toBe('object')
  })

  it('say in an error where they lie in the bundle, not on the machine that built them', () => {
    write('part.cjs', built("throw new Error('x')", 'e'))
    const thrown = expect.objectContaining({ stack: expect.stringContaining('program/part.cjs:1:7') })
    expect(load).toThrow(thrown)
  })
})
