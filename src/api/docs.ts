/**
 * /docs: an explorable page of this API, and /docs/json, the document it shows.
 *
 * Every file of the page comes out of this program. The page may load nothing from anywhere else: its
 * Content-Security-Policy says so to the browser, and Swagger UI's online validator is switched off.
 */
import { Elysia } from "elysia"
import faviconPath from "swagger-ui-dist/favicon-32x32.png" with { type: "file" }
import bundlePath from "swagger-ui-dist/swagger-ui-bundle.js" with { type: "file" }
import stylePath from "swagger-ui-dist/swagger-ui.css" with { type: "file" }
import type { ApiContext } from "./context.ts"
import { openApiDocument } from "./openapi.ts"
import type { DescribedRoute } from "./openapi.ts"

const ASSETS: Readonly<Record<string, { path: string; type: string }>> = {
  "swagger-ui.css": { path: stylePath, type: "text/css; charset=utf-8" },
  "swagger-ui-bundle.js": { path: bundlePath, type: "text/javascript; charset=utf-8" },
  "favicon.png": { path: faviconPath, type: "image/png" },
}

const START = `window.onload = () => SwaggerUIBundle({
  url: "docs/json", dom_id: "#swagger-ui", deepLinking: true, validatorUrl: null, persistAuthorization: false,
})`

// Links are relative, so that the page works under any path prefix.
const PAGE = `<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>Baozi API</title>
  <link rel="icon" type="image/png" href="docs/favicon.png">
  <link rel="stylesheet" href="docs/swagger-ui.css">
</head>
<body>
  <div id="swagger-ui"></div>
  <script src="docs/swagger-ui-bundle.js"></script>
  <script src="docs/start.js"></script>
</body>
</html>
`

const PAGE_HEADERS = {
  "content-type": "text/html; charset=utf-8",
  "content-security-policy":
    "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; " +
    "frame-ancestors 'self'",
}

/** `routes` is asked when the document is, so that it knows every route. */
export function docsApi({ options }: ApiContext, routes: () => readonly DescribedRoute[]) {
  const { version, rootPath } = options
  const app = new Elysia()
    .get("/docs", () => new Response(PAGE, { headers: PAGE_HEADERS }))
    .get("/docs/json", () => Response.json(openApiDocument(routes(), { version, rootPath })))
    .get("/docs/start.js", () => new Response(START, { headers: { "content-type": "text/javascript; charset=utf-8" } }))
  for (const [name, { path, type }] of Object.entries(ASSETS)) {
    app.get(`/docs/${name}`, () => new Response(Bun.file(path), { headers: { "content-type": type } }))
  }
  return app
}
