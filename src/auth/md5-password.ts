type Md5Hex = (...parts: readonly (string | Uint8Array)[]) => string

/** The answer to PostgreSQL's md5 challenge: `md5` and the hash of (hash of password and user) and salt. */
export function md5Password(options: {
  user: string
  password: string
  salt: Uint8Array
  md5Hex: Md5Hex
}): string {
  const { user, password, salt, md5Hex } = options
  return md5Answer({ stored: `md5${md5Hex(password, user)}`, salt, md5Hex })
}

/** The same from what PostgreSQL stores (`md5` and 32 hex digits), which is all that is needed to log in. */
export function md5Answer(options: { stored: string; salt: Uint8Array; md5Hex: Md5Hex }): string {
  return `md5${options.md5Hex(options.stored.slice('md5'.length), options.salt)}`
}
