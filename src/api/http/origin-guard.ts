/**
 * Keeps web pages out of a server that asks for no key: any page that its user looks at could send requests to it, or
 * give its own name the server's address (DNS rebinding). Clients that are no browsers send neither an Origin nor
 * Sec-Fetch-Site, and call the server by an address or by a name that its operator knows.
 */
import { isIP } from "node:net"
import { RequestError } from "../../base/errors.ts"

export interface OriginGuardOptions {
  /** Names that requests may call the server by, beside addresses and localhost; "*" is any. */
  readonly allowedHosts: readonly string[]
  /** Origins whose pages may send requests, beside the server's own; "*" is any. */
  readonly allowedOrigins: readonly string[]
}

/** Why a request is refused; null where it is not. */
export function foreignRefusal(headers: Headers, options: OriginGuardOptions): RequestError | null {
  const host = headers.get("host")
  if (host !== null && !isKnownHost(host, options.allowedHosts)) {
    return forbidden(`The host ${quoted(host)} is not this server's: start it with --allowed-hosts, or with --api-key.`)
  }
  if (options.allowedOrigins.includes("*")) return null
  const origin = headers.get("origin")
  if (origin !== null) {
    if (options.allowedOrigins.includes(origin) || isOwnOrigin(origin, host)) return null
    return forbidden(
      `Pages of the origin ${quoted(origin)} may not call this server: start it with --allowed-origins, or with ` +
        "--api-key.",
    )
  }
  if (headers.get("sec-fetch-site")?.trim().toLowerCase() !== "cross-site") return null
  return forbidden("Pages of other sites may not call this server: start it with --allowed-origins, or with --api-key.")
}

function forbidden(message: string): RequestError {
  return new RequestError(message, { status: 403, type: "PermissionDeniedError" })
}

function quoted(text: string): string {
  return JSON.stringify(text.slice(0, 100))
}

/** HTTP/1.0 and Unix sockets may give none. */
function isKnownHost(host: string, allowedHosts: readonly string[]): boolean {
  const whole = host.trim().toLowerCase()
  const name = hostName(whole)
  if (name === "" && whole === "") return true
  if (isIP(name) !== 0 || name === "localhost" || name.endsWith(".localhost")) return true
  return allowedHosts.some((allowed) => allowed === "*" || [whole, name].includes(allowed.toLowerCase()))
}

/** Without its port, the brackets of an IPv6 address and the dot that ends a full name; "" for what is none. */
function hostName(host: string): string {
  const [, address, name] = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::\d*)?$/.exec(host) ?? []
  return address ?? name?.replace(/\.$/, "") ?? ""
}

/** A page of this server's own. The scheme is left out: a proxy may speak https for it. */
function isOwnOrigin(origin: string, host: string | null): boolean {
  if (host === null) return false
  const page = URL.parse(origin)
  const own = URL.parse(`${page?.protocol}//${host}`)
  return page !== null && own !== null && /^https?:$/.test(page.protocol) && page.host === own.host
}
