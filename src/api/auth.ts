/** API keys: who asks, and may they. Compared in constant time. */
import { createHash, timingSafeEqual } from "node:crypto"

/** Where no key is asked for everybody is the same. */
const ANYBODY = "anybody"

export class ApiKeys {
  readonly #digests: readonly Buffer[]
  readonly #openPaths: ReadonlySet<string>

  /** `openPaths` need no key. Without keys nothing does. */
  constructor(keys: readonly string[], openPaths: readonly string[]) {
    this.#digests = keys.map(digest)
    this.#openPaths = new Set(openPaths)
  }

  mayPass(path: string, headers: Headers): boolean {
    return this.#openPaths.has(path) || this.ownerOf(headers) !== null
  }

  /** A name for the holder of the key that a request carries, which tells nothing of the key; null: none is known. */
  ownerOf(headers: Headers): string | null {
    if (this.#digests.length === 0) return ANYBODY
    const given = digest(keyIn(headers) ?? "")
    // Every key is compared, so that the time taken does not tell which one was near.
    let owner: string | null = null
    for (const [i, wanted] of this.#digests.entries()) if (timingSafeEqual(wanted, given)) owner = `key ${i + 1}`
    return owner
  }
}

export function unauthorized(): Response {
  return Response.json({ error: "Unauthorized" }, { status: 401, headers: { "www-authenticate": "Bearer" } })
}

/** The bearer token, or the header that Anthropic's clients send. */
function keyIn(headers: Headers): string | null {
  const [, token] = /^bearer +(.*)$/i.exec(headers.get("authorization") ?? "") ?? []
  return token?.trim() ?? headers.get("x-api-key")
}

/** Digests have one length whatever the key's, which `timingSafeEqual` needs. */
function digest(key: string): Buffer {
  return createHash("sha256").update(key).digest()
}
