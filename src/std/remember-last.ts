/** A function that works its result out again only when its argument is not the one of last time: for what is asked often and changes seldom. */
export function rememberLast<Argument, Result>(
  of: (argument: Argument) => Result,
): (argument: Argument) => Result {
  let last: { readonly argument: Argument; readonly result: Result } | undefined
  return (argument) => {
    if (!last || last.argument !== argument) last = { argument, result: of(argument) }
    return last.result
  }
}
