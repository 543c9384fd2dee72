/**
 * /docs: an explorable page of this API, and /docs/json, the document it shows; both by @elysiajs/swagger. The document
 * is at /openapi.json too.
 *
 * The plug-in's page would take Swagger UI from a public host: its links are turned to files that this program carries.
 * The page may load nothing from anywhere else: its Content-Security-Policy says so to the browser, and Swagger UI's
 * online validator is switched off.
 */
import { createHash } from "node:crypto"
import { swagger } from "@elysiajs/swagger"
import { Elysia } from "elysia"
import bundlePath from "swagger-ui-dist/swagger-ui-bundle.js" with { type: "file" }
import stylePath from "swagger-ui-dist/swagger-ui.css" with { type: "file" }
import { assert } from "../../base/assert.ts"
import type { ApiContext } from "../context.ts"
import { openApiDocument, operation } from "./openapi.ts"
import type { DescribedRoute } from "./openapi.ts"
import { JsonObject } from "../schema/kinds.ts"

const ASSETS: Readonly<Record<string, { path: string; type: string }>> = {
  "swagger-ui.css": { path: stylePath, type: "text/css; charset=utf-8" },
  "swagger-ui-bundle.js": { path: bundlePath, type: "text/javascript; charset=utf-8" },
}

const PUBLIC_HOST = /https:\/\/unpkg\.com\/swagger-ui-dist@[^/]+\//g

/** The plug-in's page with links to this server's files, relative ones, so that it works under any path prefix. */
function localPage(html: string): Response {
  const page = html.replaceAll(PUBLIC_HOST, "docs/").replaceAll(" crossorigin", "")
  assert(!/https?:\/\//.test(page), "the documentation page names another host")
  const script = /<script>([\s\S]*?)<\/script>/.exec(page)?.[1] ?? ""
  const hash = createHash("sha256").update(script).digest("base64")
  return new Response(page, {
    headers: {
      "content-type": "text/html; charset=utf-8",
      "content-security-policy":
        `default-src 'self'; script-src 'self' 'sha256-${hash}'; style-src 'self' 'unsafe-inline'; ` +
        "img-src 'self' data:; frame-ancestors 'self'",
    },
  })
}

/** `routes` is asked when the document is, so that it knows every route. */
export function docsApi({ options }: ApiContext, routes: () => readonly DescribedRoute[]) {
  const { version, rootPath } = options
  let documents: Elysia | null = null
  const ask = (path: string): Promise<Response> => {
    documents ??= new Elysia().use(swagger({
      provider: "swagger-ui", path: "/docs", specPath: "/docs/json",
      swaggerOptions: { validatorUrl: null as unknown as string }, // null is off; the plug-in's type forgets it
      documentation: openApiDocument(routes(), { version, rootPath }),
    })) as unknown as Elysia
    return documents.handle(new Request(`http://localhost${path}`))
  }
  const app = new Elysia()
    .get("/docs", async () => localPage(await (await ask("/docs")).text()), {
      detail: operation({ summary: "This API as a page to explore", tag: "Documentation", mediaType: "text/html" }),
    })
    .get("/docs/json", () => ask("/docs/json"), {
      detail: operation({ summary: "This document", tag: "Documentation", response: JsonObject }),
    })
    .get("/openapi.json", () => ask("/docs/json"), {
      detail: operation({
        summary: "This document, where vLLM's clients look for it", tag: "Documentation", response: JsonObject,
      }),
    })
  for (const [name, { path, type }] of Object.entries(ASSETS)) {
    app.get(`/docs/${name}`, () => new Response(Bun.file(path), { headers: { "content-type": type } }))
  }
  return app
}
