/** Strings that YAML would read as something else, or as structure. */
const PLAIN = /^[A-Za-z][A-Za-z0-9_./-]*$/
const NOT_PLAIN = /^(true|false|yes|no|on|off|null|y|n)$/i

/** JSON-like data as YAML in block style. Absent fields are left out, as in JSON. */
export function yamlText(value: unknown): string {
  return `${lines(value).join('\n')}\n`
}

function lines(value: unknown): readonly string[] {
  if (Array.isArray(value))
    return value.length === 0 ? ['[]'] : value.flatMap((item: unknown) => entry('-', item))
  if (typeof value === 'object' && value !== null) {
    const fields = Object.entries(value).filter(([, field]) => field !== undefined)
    return fields.length === 0 ? ['{}'] : fields.flatMap(([key, field]) => entry(`${scalar(key)}:`, field))
  }
  return [scalar(value)]
}

/** `- ` puts the first line of an item behind the dash; a key puts nested data on lines of its own. */
function entry(lead: string, value: unknown): readonly string[] {
  const [first = '', ...rest] = lines(value)
  const nested = typeof value === 'object' && value !== null && first !== '[]' && first !== '{}'
  if (!nested) return [`${lead} ${first}`]
  const indented = rest.map((line) => `  ${line}`)
  return lead === '-' ? [`- ${first}`, ...indented] : [lead, `  ${first}`, ...indented]
}

/** A JSON string is a YAML string. */
function scalar(value: unknown): string {
  if (typeof value === 'string' && PLAIN.test(value) && !NOT_PLAIN.test(value)) return value
  return JSON.stringify(value) ?? 'null'
}
