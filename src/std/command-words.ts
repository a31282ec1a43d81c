/**
 * The words of a command line as a POSIX shell would split it, without anything else that a shell does: no variables, no wildcards.
 * `undefined` where a quote is not closed.
 */
export function commandWords(text: string): readonly string[] | undefined {
  const words: string[] = []
  let word: string | undefined
  let quote: '"' | "'" | undefined
  for (let at = 0; at < text.length; at += 1) {
    const letter = text.charAt(at)
    const next = text.charAt(at + 1)
    if (letter === '\\' && quote !== "'") {
      if (next === '') return undefined
      // Within double quotes it stands for itself before most letters.
      const isKept = quote === '"' && next !== '"' && next !== '\\'
      word = (word ?? '') + (isKept ? letter + next : next)
      at += 1
    } else if (quote === undefined && (letter === '"' || letter === "'")) {
      quote = letter
      word ??= ''
    } else if (letter === quote) quote = undefined
    else if (quote === undefined && /\s/.test(letter)) {
      if (word !== undefined) words.push(word)
      word = undefined
    } else word = (word ?? '') + letter
  }
  if (quote !== undefined) return undefined
  return word === undefined ? words : [...words, word]
}
