/** Which kind of member runs a statement. */
export type StatementRole = 'primary'

/** A message that needs a server connection: its type, and its body as far as it has arrived. */
export type RoutedMessage = { readonly type: number; readonly body: Buffer }

/**
 * The one place that chooses who runs a statement of the pooled port; asked when a client without a server connection sends
 * something that needs one. For now it is the primary, whatever the text says.
 */
export function chooseRole(_message: RoutedMessage): StatementRole {
  return 'primary'
}
