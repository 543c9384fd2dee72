/** Names of requests, as clients see them and as the engine does. */

export function randomHex(numBytes: number): string {
  return Buffer.from(crypto.getRandomValues(new Uint8Array(numBytes))).toString("hex")
}

export function toolCallId(): string {
  return `chatcmpl-tool-${randomHex(8)}`
}

/** What Mistral's templates take: nine letters and digits. */
export function mistralCallId(): string {
  return randomHex(5).slice(0, 9)
}

/** The X-Request-Id header wins over the body's `request_id`; without either, 16 hexadecimal digits. */
export function requestId(prefix: "cmpl" | "chatcmpl", request: Request, fromBody: string | null | undefined): string {
  return `${prefix}-${request.headers.get("x-request-id") || fromBody || randomHex(8)}`
}

/** The client's id in an id of the engine's. */
export function clientRequestId(engineId: string): string {
  return engineId.replace(/-\d+-[0-9a-f]{8}$/, "")
}

/** Unique even where two clients chose the same id. */
export function engineRequestId(id: string, promptIdx: number): string {
  return `${id}-${promptIdx}-${randomHex(4)}`
}
