/** Takes in a request's body: its size bounded before it is in memory. */
import { RequestError } from "../../base/errors.ts"
import { ClientGoneError } from "./errors.ts"

/** A refused body is read and dropped up to this size, so that clients which send before they listen see the answer. */
const MAX_DRAINED_BYTES = 512 * 1024 * 1024

/**
 * The bytes of a body that says it is JSON.
 *
 * Errors: `ClientGoneError`; `RequestError` 413 above `maxBytes`; 400 "Bad Request" for another content type.
 */
export async function readJsonBytes(request: Request, maxBytes: number): Promise<Uint8Array> {
  const mediaType = request.headers.get("content-type")?.split(";")[0]?.trim().toLowerCase()
  const bytes = await readBytes(request, maxBytes)
  if (mediaType !== "application/json") {
    throw new RequestError("1 validation error: Unsupported Media Type: Only 'application/json' is allowed", {
      type: "Bad Request",
    })
  }
  return bytes
}

const readListeners = new WeakMap<Request, () => void>()

/** Calls `listener` when the whole of the request is here; at once when it has no body. */
export function onceRead(request: Request, listener: () => void): void {
  if (request.body === null) listener()
  else readListeners.set(request, listener)
}

async function readBytes(request: Request, maxBytes: number): Promise<Uint8Array> {
  const declared = Number(request.headers.get("content-length") ?? 0)
  const kept = new KeptBytes(declared <= maxBytes ? declared : 0)
  let total = 0
  try {
    const body = declared > MAX_DRAINED_BYTES ? null : request.body
    for await (const chunk of body ?? []) {
      total += chunk.length
      if (total > MAX_DRAINED_BYTES) break
      if (total > maxBytes || declared > maxBytes) kept.drop()
      else kept.append(chunk)
    }
  } catch {
    throw new ClientGoneError("the client closed its connection while it sent the body")
  }
  readListeners.get(request)?.()
  if (Math.max(declared, total) > maxBytes) {
    throw new RequestError(`The request body is larger than the limit of ${maxBytes} bytes.`, {
      status: 413,
      type: "RequestEntityTooLarge",
    })
  }
  return kept.bytes()
}

/** The body so far, in one piece: chunks that are joined at the end would be in memory twice. */
class KeptBytes {
  readonly #expected: number
  #bytes = new Uint8Array()
  #length = 0

  constructor(expected: number) {
    this.#expected = expected
  }

  append(chunk: Uint8Array<ArrayBuffer>): void {
    const length = this.#length + chunk.length
    if (this.#length === 0) {
      this.#bytes = chunk
    } else {
      if (length > this.#bytes.length) this.#grow(length)
      this.#bytes.set(chunk, this.#length)
    }
    this.#length = length
  }

  #grow(length: number): void {
    // A client that tells no length is given twice as much each time.
    const larger = new Uint8Array(length <= this.#expected ? this.#expected : length * 2)
    larger.set(this.#bytes.subarray(0, this.#length))
    this.#bytes = larger
  }

  drop(): void {
    this.#bytes = new Uint8Array()
    this.#length = 0
  }

  bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#length)
  }
}
