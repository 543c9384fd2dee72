/**
 * Interleaves several async sources in the order in which their values come.
 *
 * At most one value a source waits to be taken, so a slow reader holds the sources back. Leaving the loop, or a source
 * that throws, ends every source.
 */
export async function* mergeSources<T>(
  sources: readonly AsyncGenerator<T, void, void>[],
): AsyncGenerator<T, void, void> {
  const arrived: { value: T; taken: () => void }[] = []
  let failure: { error: unknown } | null = null
  let numLive = sources.length
  let stopped = false
  let wake = (): void => {}

  const pump = async (source: AsyncGenerator<T, void, void>): Promise<void> => {
    try {
      for await (const value of source) {
        if (stopped) return
        const taken = new Promise<void>((resolve) => arrived.push({ value, taken: resolve }))
        wake()
        await taken
      }
    } catch (error) {
      failure ??= { error }
    } finally {
      numLive--
      wake()
    }
  }

  try {
    for (const source of sources) void pump(source)
    for (;;) {
      const next = arrived.shift()
      if (next !== undefined) {
        yield next.value
        next.taken()
        continue
      }
      if (failure !== null) throw (failure as { error: unknown }).error
      if (numLive === 0) return
      await new Promise<void>((resolve) => (wake = resolve))
    }
  } finally {
    stopped = true
    for (const { taken } of arrived) taken()
    for (const source of sources) void source.return().catch(() => {})
  }
}
