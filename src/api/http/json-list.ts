/** An answer that is a list of any length, made piece by piece: others are answered in between. */

/** UTF-16 units of JSON that are made at once. */
const PIECE_UNITS = 32 * 1024

export function jsonList(items: Iterable<object>): Response {
  const pieces = listPieces(items)
  const encoder = new TextEncoder()
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      await new Promise((resolve) => setImmediate(resolve))
      const { done, value } = pieces.next()
      if (done) controller.close()
      else controller.enqueue(encoder.encode(value))
    },
  })
  return new Response(body, { headers: { "content-type": "application/json" } })
}

function* listPieces(items: Iterable<object>): Generator<string, void, void> {
  let piece = "["
  let isFirst = true
  for (const item of items) {
    piece += (isFirst ? "" : ",") + JSON.stringify(item)
    isFirst = false
    if (piece.length < PIECE_UNITS) continue
    yield piece
    piece = ""
  }
  yield `${piece}]`
}
