/** Bearer keys, compared in constant time. */
import { createHash, timingSafeEqual } from "node:crypto"

const OPEN_PATHS: ReadonlySet<string> = new Set(["/health"])

/** Answers whether a request may pass. Every route but /health asks for a key as soon as there is one. */
export function keyCheck(apiKeys: readonly string[]): (path: string, authorization: string | null) => boolean {
  if (apiKeys.length === 0) return () => true
  const digests = apiKeys.map(digest)
  return (path, authorization) => {
    if (OPEN_PATHS.has(path)) return true
    const [scheme, key] = splitOnce(authorization ?? "")
    if (scheme.toLowerCase() !== "bearer") return false
    const given = digest(key)
    // Every key is compared, so that the time taken does not tell which one was near.
    return digests.reduce((found, wanted) => timingSafeEqual(wanted, given) || found, false)
  }
}

export function unauthorized(): Response {
  return Response.json({ error: "Unauthorized" }, { status: 401, headers: { "www-authenticate": "Bearer" } })
}

function splitOnce(header: string): [string, string] {
  const space = header.indexOf(" ")
  return space < 0 ? [header, ""] : [header.slice(0, space), header.slice(space + 1).trim()]
}

/** Digests have one length whatever the key's, which `timingSafeEqual` needs. */
function digest(key: string): Buffer {
  return createHash("sha256").update(key).digest()
}
