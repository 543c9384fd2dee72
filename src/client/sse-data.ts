/** The `data` of each event of a stream, up to "[DONE]" or its end. Comments and other fields are left out. */
export async function* sseData(body: ReadableStream<Uint8Array>): AsyncGenerator<string, void, void> {
  const decoder = new TextDecoder()
  let rest = ""
  let data: string[] = []
  for await (const chunk of body) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split(/\r?\n/)
    rest = lines.pop()!
    for (const line of lines) {
      if (line.startsWith("data:")) data.push(line.slice(line[5] === " " ? 6 : 5))
      if (line !== "" || data.length === 0) continue
      const text = data.join("\n")
      data = []
      if (text === "[DONE]") return
      yield text
    }
  }
}
