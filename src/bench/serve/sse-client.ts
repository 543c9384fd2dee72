/** One event of a stream and when its bytes came. */
export interface TimedEvent {
  readonly data: string
  /** Milliseconds of `now`. */
  readonly atMs: number
}

/**
 * The data of a server's events, each with the time at which the bytes that end it were read. Comments and other fields
 * are passed over. Source: the event stream format of the HTML standard.
 */
export async function* timedEvents(
  body: AsyncIterable<Uint8Array>, now: () => number = () => performance.now(),
): AsyncGenerator<TimedEvent> {
  const decoder = new TextDecoder()
  let rest = ""
  let data: string[] = []
  for await (const bytes of body) {
    const atMs = now()
    rest += decoder.decode(bytes, { stream: true })
    // A carriage return at the end may be half of a line break.
    const end = rest.endsWith("\r") ? rest.length - 1 : rest.length
    const lines = rest.slice(0, end).split(/\r\n|\n|\r/)
    rest = lines.pop()! + rest.slice(end)
    for (const line of lines) {
      if (line.startsWith("data:")) data.push(line.slice(line[5] === " " ? 6 : 5))
      if (line !== "" || data.length === 0) continue
      yield { data: data.join("\n"), atMs }
      data = []
    }
  }
}
