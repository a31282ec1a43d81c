/** Length of a text once it is written as JSON, in UTF-16 units: what it costs in a log entry and in a snapshot. */
export function jsonLength(text: string): number {
  return JSON.stringify(text).length
}
