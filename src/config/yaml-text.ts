/** Writes a text as a YAML scalar: plain where that is safe, else in double quotes. */
export function yamlScalar(value: string): string {
  const plain = /^[A-Za-z0-9_./][A-Za-z0-9_./%+-]*$/.test(value)
  const special = /^(true|false|null|yes|no|on|off|~)$/i.test(value) || /^0[0-9xo]/.test(value)
  return plain && !special ? value : JSON.stringify(value)
}

/** A name in place of a value that must not be printed. */
export const PASSWORD_FILE = 'db-password'
