/** `{name: value}`, or nothing when there is no value: an absent property is not an undefined one. */
export function whereGiven<Name extends string, T>(
  name: Name,
  value: T | undefined,
): { readonly [key in Name]?: T } {
  return (value === undefined ? {} : { [name]: value }) as { readonly [key in Name]?: T }
}
