/** API keys: who asks, and may they. Compared in constant time. */
import { createHash, timingSafeEqual } from "node:crypto"

/** Where no key is asked for everybody is the same. */
const ANYBODY = "anybody"

const owners = new WeakMap<Request, string>()

/** A name for the holder of the key that came with a request, which tells nothing of the key itself. */
export function ownerOf(request: Request): string {
  return owners.get(request) ?? ANYBODY
}

export class ApiKeys {
  readonly #digests: readonly Buffer[]
  readonly #openPaths: ReadonlySet<string>

  /** `openPaths` need no key. Without keys nothing does. */
  constructor(keys: readonly string[], openPaths: readonly string[]) {
    this.#digests = keys.map(digest)
    this.#openPaths = new Set(openPaths)
  }

  /** Whether `request`, for `path`, may be answered; notes whose it is. */
  mayPass(path: string, request: Request): boolean {
    const owner = this.#ownerOf(request.headers)
    if (owner !== null) owners.set(request, owner)
    return owner !== null || this.#openPaths.has(path)
  }

  #ownerOf(headers: Headers): string | null {
    if (this.#digests.length === 0) return ANYBODY
    const given = digest(keyIn(headers) ?? "")
    // Every key is compared, so that the time taken does not tell which one was near.
    let owner: string | null = null
    for (const [i, wanted] of this.#digests.entries()) if (timingSafeEqual(wanted, given)) owner = `key ${i + 1}`
    return owner
  }
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
