/** The OpenAPI document, put together from what each route says of itself. */
import type { TSchema } from "@sinclair/typebox"
import type { DocumentDecoration } from "elysia"
import { ErrorBody } from "./schema/usage.ts"

export interface OperationParts {
  readonly summary: string
  readonly tag: string
  readonly request?: TSchema
  readonly response?: TSchema
  /** The schema of one event, where the answer may be a stream. */
  readonly chunk?: TSchema
  /** Names after the question mark, each with the JSON type of its value. */
  /** The schema of a refusal; OpenAI's error body where it is left out. */
  readonly refusal?: TSchema
  readonly query?: Readonly<Record<string, "boolean" | "integer" | "string">>
}

/** A route's `detail`. */
export function operation(parts: OperationParts): DocumentDecoration {
  const { summary, tag, request, response, chunk, query, refusal = ErrorBody } = parts
  const content: Record<string, object> = response === undefined ? {} : jsonContent(response)
  if (chunk !== undefined) content["text/event-stream"] = { schema: chunk }
  const refused = { description: "Refused", content: jsonContent(refusal) }
  const detail = {
    summary,
    tags: [tag],
    parameters: Object.entries(query ?? {}).map(([name, type]) => ({ name, in: "query", schema: { type } })),
    ...(request === undefined ? {} : { requestBody: { required: true, content: jsonContent(request) } }),
    responses: {
      200: { description: "OK", content },
      ...(request === undefined ? {} : { 400: refused, 404: refused }),
    },
  }
  // The type knows OpenAPI 3.0's schemas only; ours are 3.1's.
  return detail as unknown as DocumentDecoration
}

function jsonContent(schema: TSchema): Record<string, object> {
  return { "application/json": { schema } }
}

export interface DescribedRoute {
  readonly method: string
  readonly path: string
  readonly detail: unknown
}

/** OpenAPI 3.1, whose schemas are JSON Schema as TypeBox writes it. Routes without `detail` are left out. */
export function openApiDocument(
  routes: readonly DescribedRoute[], info: { version: string; rootPath: string },
): object {
  const paths: Record<string, Record<string, unknown>> = {}
  for (const { method, path, detail } of routes) {
    if (detail === undefined || detail === null) continue
    const shown = path.replace("/*", "/{model}").replaceAll(/:(\w+)/g, "{$1}")
    const item = (paths[shown] ??= {})
    const { parameters: inQuery = [], ...rest } = detail as { parameters?: object[] }
    const parameters = [...pathParameters(shown), ...inQuery]
    item[method.toLowerCase()] = { ...rest, operationId: operationId(method, shown), parameters }
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "Baozi",
      version: info.version,
      description: "An OpenAI-compatible server for large language models.",
    },
    servers: [{ url: info.rootPath === "" ? "/" : info.rootPath }],
    components: { securitySchemes: { bearer: { type: "http", scheme: "bearer" } } },
    security: [{}, { bearer: [] }],
    paths,
  }
}

function pathParameters(path: string): object[] {
  const names = [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1])
  return names.map((name) => ({ name, in: "path", required: true, schema: { type: "string" } }))
}

function operationId(method: string, path: string): string {
  return `${method.toLowerCase()}${path.replaceAll(/[^A-Za-z0-9]+/g, "_").replace(/_$/, "")}`
}
