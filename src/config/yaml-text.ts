/** Writes a text as a YAML scalar: plain where that is safe, else in double quotes. */
export function yamlScalar(value: string): string {
  const plain = /^[A-Za-z0-9_./][A-Za-z0-9_./%+-]*$/.test(value)
  // This room reads every scalar as its text, so that a plain on, true or 0777 keeps its letters; null does not.
  return plain && !/^null$/i.test(value) ? value : JSON.stringify(value)
}

/** A name in place of a value that must not be printed. */
export const PASSWORD_FILE = 'db-password'
