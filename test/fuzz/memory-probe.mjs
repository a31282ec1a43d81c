/** Loaded into a router before its program, with `--expose-gc`: says to its parent how much memory is in use. */
process.on('message', () => {
  const { gc } = globalThis
  gc?.()
  gc?.()
  const { heapUsed, external, rss } = process.memoryUsage()
  process.send?.({ used: heapUsed + external, rss })
})
process.on('disconnect', () => process.exit(0))
