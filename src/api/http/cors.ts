/** Which web pages may call this server from a browser: the CORS protocol. */
export interface CorsOptions {
  /** "https://app.example" or "*". Empty: no page of another origin may. */
  readonly allowedOrigins: readonly string[]
  /** "*" is every method that a browser asks for. */
  readonly allowedMethods: readonly string[]
  /** "*" is every header that a browser asks for. */
  readonly allowedHeaders: readonly string[]
  /** Lets pages send cookies and HTTP authentication. */
  readonly allowCredentials: boolean
}

const PREFLIGHT_SECONDS = 600
/** What pages may read beside the headers that every page may. */
const EXPOSED_HEADERS = "x-request-id, retry-after"

/** The answer to a browser that asks before it sends a request; null when `request` is no such question. */
export function preflight(options: CorsOptions, request: Request): Response | null {
  const { headers, method } = request
  const wantedMethod = headers.get("access-control-request-method")
  if (method !== "OPTIONS" || wantedMethod === null || options.allowedOrigins.length === 0) return null
  const origin = allowedOrigin(options, headers)
  if (origin === null) return new Response("Disallowed CORS origin", { status: 400 })
  const wantedHeaders = headers.get("access-control-request-headers") ?? ""
  const methods = allows(options.allowedMethods, "*") ? wantedMethod : options.allowedMethods.join(", ")
  const response = new Response(null, {
    status: 204,
    headers: {
      "access-control-allow-methods": methods,
      "access-control-allow-headers": allows(options.allowedHeaders, "*")
        ? wantedHeaders
        : options.allowedHeaders.join(", "),
      "access-control-max-age": String(PREFLIGHT_SECONDS),
    },
  })
  addOrigin(options, response, origin)
  return response
}

/** Adds what a page needs to read `response`. */
export function allowReading(options: CorsOptions, request: Request, response: Response): void {
  const origin = allowedOrigin(options, request.headers)
  if (origin === null) return
  addOrigin(options, response, origin)
  response.headers.set("access-control-expose-headers", EXPOSED_HEADERS)
}

function addOrigin(options: CorsOptions, response: Response, origin: string): void {
  response.headers.set("access-control-allow-origin", origin)
  if (origin !== "*") response.headers.append("vary", "Origin")
  if (options.allowCredentials) response.headers.set("access-control-allow-credentials", "true")
}

/** What Access-Control-Allow-Origin says to this request; null: nothing. */
function allowedOrigin({ allowedOrigins }: CorsOptions, headers: Headers): string | null {
  const origin = headers.get("origin")
  if (origin === null) return null
  if (allows(allowedOrigins, "*")) return "*"
  return allows(allowedOrigins, origin) ? origin : null
}

function allows(list: readonly string[], value: string): boolean {
  return list.includes(value)
}
