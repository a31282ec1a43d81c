/** The answer to PostgreSQL's md5 challenge: `md5` and the hash of (hash of password and user) and salt. */
export function md5Password(options: {
  user: string
  password: string
  salt: Uint8Array
  md5Hex: (...parts: readonly (string | Uint8Array)[]) => string
}): string {
  const { user, password, salt, md5Hex } = options
  return `md5${md5Hex(md5Hex(password, user), salt)}`
}
