declare const brand: unique symbol

/** A number, string or bigint that must not be mixed with another of the same shape. */
export type Brand<Value, Name extends string> = Value & { readonly [brand]: Name }
