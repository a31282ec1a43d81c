/** What a program of the operator's can be called for; the names are Patroni's, and so are its arguments: action, role, scope. */
export const CALLBACK_ACTIONS = ['on_start', 'on_stop', 'on_restart', 'on_role_change', 'on_reload'] as const

export type CallbackAction = (typeof CALLBACK_ACTIONS)[number]

/** The words of each command; what is absent is not called. */
export type Callbacks = { readonly [Action in CallbackAction]?: readonly string[] }
