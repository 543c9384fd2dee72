/** Reads a JSON request body: its size bounded before it is in memory, its bytes checked to be UTF-8. */
import { RequestError } from "../base/errors.ts"
import { numberTexts, withNumberTexts } from "../base/json-number.ts"
import { isNestedDeeper, MAX_NESTING } from "../base/nesting.ts"
import { ClientGoneError } from "./errors.ts"
import { isRecord } from "./schema/coerce.ts"
import { shapeError } from "./schema/parse.ts"

/** A refused body is read and dropped up to this size, so that clients which send before they listen see the answer. */
const MAX_DRAINED_BYTES = 512 * 1024 * 1024

/**
 * Errors: `ClientGoneError`; `RequestError` 413 above `maxBytes`; 400 "Bad Request" for another content type, an empty
 * body, bytes that are not UTF-8, text that is not JSON or too deep.
 */
export async function readJson(request: Request, maxBytes: number): Promise<unknown> {
  const mediaType = request.headers.get("content-type")?.split(";")[0]?.trim().toLowerCase()
  const bytes = await readBytes(request, maxBytes)
  if (mediaType !== "application/json") {
    throw new RequestError("1 validation error: Unsupported Media Type: Only 'application/json' is allowed", {
      type: "Bad Request",
    })
  }
  if (bytes.length === 0) throw shapeError("body", "Field required")
  return parseJson(decodeUtf8(bytes))
}

const readListeners = new WeakMap<Request, () => void>()

/** Calls `listener` when the whole of the request is here; at once when it has no body. */
export function onceRead(request: Request, listener: () => void): void {
  if (request.body === null) listener()
  else readListeners.set(request, listener)
}

async function readBytes(request: Request, maxBytes: number): Promise<Uint8Array> {
  const declared = Number(request.headers.get("content-length") ?? 0)
  const chunks: Uint8Array[] = []
  let total = 0
  try {
    const body = declared > MAX_DRAINED_BYTES ? null : request.body
    for await (const chunk of body ?? []) {
      total += chunk.length
      if (total > MAX_DRAINED_BYTES) break
      if (total > maxBytes || declared > maxBytes) chunks.length = 0
      else chunks.push(chunk)
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
  return chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)
}

function decodeUtf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes)
  } catch {
    throw shapeError("body", "The body is not valid UTF-8")
  }
}

function parseJson(text: string): unknown {
  let body: unknown
  try {
    body = JSON.parse(text)
  } catch (error) {
    throw shapeError("body", `JSON decode error: ${error instanceof Error ? error.message : String(error)}`)
  }
  if (isNestedDeeper(body, MAX_NESTING)) throw shapeError("body", `The body is nested more than ${MAX_NESTING} deep`)
  return keepNumbers(body, text)
}

/** What goes into prompts as it is written, and a seed of 64 bits. */
const EXACT_FIELDS: ReadonlySet<string | number> = new Set([
  "messages", "input", "tools", "documents", "chat_template_kwargs", "seed",
])

/** `body` with the numbers of those fields as they are written; the seed as its digits. */
function keepNumbers(body: unknown, text: string): unknown {
  if (!isRecord(body) || !Object.keys(body).some((field) => EXACT_FIELDS.has(field))) return body
  const texts = numberTexts(text)
  if (texts === null || typeof texts === "string") return body
  for (const [field, part] of texts) {
    const isSeed = field === "seed" && typeof part === "string" && /^-?\d+$/.test(part)
    if (isSeed) body[field] = part
    else if (field !== "seed" && EXACT_FIELDS.has(field)) body[field] = withNumberTexts(body[field], part)
  }
  return body
}
