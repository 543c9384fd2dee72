/** The OpenAPI document, put together from what each route says of itself. */
import { Type } from "@sinclair/typebox"
import type { TSchema } from "@sinclair/typebox"
import type { DocumentDecoration } from "elysia"
import { assert } from "../../base/assert.ts"
import { ErrorBody, Unauthorized } from "../schema/errors.ts"
import { ANY_KEY } from "../schema/kinds.ts"

export interface OperationParts {
  readonly summary: string
  readonly tag: string
  readonly request?: TSchema
  readonly response?: TSchema
  /** The schema of one event's data, where the answer may be a stream. A stream that fails ends with a refusal. */
  readonly chunk?: TSchema
  /** The content type of an answer that is neither. */
  readonly mediaType?: string
  /** The schema of every refusal; where it is left out, OpenAI's error body, and vLLM's words of a missing key. */
  readonly refusal?: TSchema
  /** Statuses of refusals, beside those that everything with a body, a query or a generated text has. */
  readonly refusals?: readonly number[]
  /** Whether the engine generates, where the answer is never a stream. */
  readonly isGenerating?: boolean
  /** Whether the engine may be unwell: 503, with the body of a good answer. */
  readonly isProbe?: boolean
  /** Names after the question mark, each with the JSON type of its value. */
  readonly query?: Readonly<Record<string, "boolean" | "integer" | "string">>
}

/** Of every operation that reads a body, that reads a query, and that makes the engine generate. */
const BODY_REFUSALS = [400, 413]
const QUERY_REFUSALS = [400]
const GENERATION_REFUSALS = [404, 429, 500, 503]

const REASONS: Readonly<Record<number, string>> = {
  400: "A field or a parameter has the wrong shape, or asks for what cannot be done",
  401: "The server asks for a key, and this request has none of its",
  404: "There is no such model, response or stream",
  409: "The engine is in another state",
  413: "The body is too large",
  429: "Too many requests are waiting; Retry-After says when to come back",
  500: "The engine failed",
  503: "The server cannot do it now",
}

/** A route's `detail`. */
export function operation(parts: OperationParts): DocumentDecoration {
  const { summary, tag, request, query, isProbe = false, refusal = ErrorBody } = parts
  const unauthorized = parts.refusal ?? Unauthorized
  const content = goodContent(parts, refusal)
  const responses: Record<number, object> = { 200: { description: "OK", content } }
  if (isProbe) responses[503] = { description: REASONS[503], content }
  for (const status of refusalStatuses(parts)) {
    responses[status] = { description: REASONS[status], content: jsonContent(refusal) }
  }
  responses[401] = { description: REASONS[401], content: jsonContent(unauthorized) }
  const detail = {
    summary,
    tags: [tag],
    parameters: Object.entries(query ?? {}).map(([name, type]) => ({ name, in: "query", schema: { type } })),
    ...(request === undefined ? {} : { requestBody: { required: true, content: jsonContent(request) } }),
    responses,
  }
  // The type knows OpenAPI 3.0's schemas only; ours are 3.1's.
  return detail as unknown as DocumentDecoration
}

function goodContent({ response, chunk, mediaType }: OperationParts, refusal: TSchema): Record<string, object> {
  const content: Record<string, object> = response === undefined ? {} : jsonContent(response)
  if (chunk !== undefined) content["text/event-stream"] = { schema: Type.Union([chunk, refusal]) }
  if (mediaType !== undefined) content[mediaType] = { schema: Type.String() }
  return content
}

function refusalStatuses({ request, query, chunk, isGenerating, refusals = [] }: OperationParts): Set<number> {
  const generates = isGenerating ?? (request !== undefined && chunk !== undefined)
  return new Set([
    ...(request === undefined ? [] : BODY_REFUSALS),
    ...(query === undefined ? [] : QUERY_REFUSALS),
    ...(generates ? GENERATION_REFUSALS : []),
    ...refusals,
  ])
}

function jsonContent(schema: TSchema): Record<string, object> {
  return { "application/json": { schema } }
}

export interface DescribedRoute {
  readonly method: string
  readonly path: string
  readonly detail: unknown
}

/**
 * OpenAPI 3.1, whose schemas are JSON Schema as TypeBox writes it; those with a title are components of that name.
 * Routes without `detail` are left out.
 */
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
  const schemas: Record<string, unknown> = {}
  const shared = withReferences(paths, schemas)
  return {
    openapi: "3.1.0",
    info: {
      title: "Baozi",
      version: info.version,
      description: "An OpenAI-compatible server for large language models.",
    },
    servers: [{ url: info.rootPath === "" ? "/" : info.rootPath }],
    components: {
      schemas,
      securitySchemes: {
        bearer: { type: "http", scheme: "bearer" }, header: { type: "apiKey", in: "header", name: "x-api-key" },
      },
    },
    security: [{}, { bearer: [] }, { header: [] }],
    paths: shared,
  }
}

/** `node` with references in place of the schemas that have a title, which are put into `schemas`. */
function withReferences(node: unknown, schemas: Record<string, unknown>): unknown {
  if (Array.isArray(node)) return node.map((item) => withReferences(item, schemas))
  if (typeof node !== "object" || node === null) return node
  const copy: Record<string, unknown> = Object.fromEntries(
    Object.entries(node).map(([name, item]) => [name, withReferences(item, schemas)]),
  )
  // Readers of OpenAPI know maps by this.
  const { patternProperties, ...others } = copy
  const values = (patternProperties as Record<string, unknown> | undefined)?.[ANY_KEY]
  if (values !== undefined) return { ...others, additionalProperties: values }
  const { title } = copy
  if (typeof title !== "string") return copy
  const known = (schemas[title] ??= copy)
  assert(JSON.stringify(known) === JSON.stringify(copy), `two schemas have the title ${title}`)
  return { $ref: `#/components/schemas/${title}` }
}

function pathParameters(path: string): object[] {
  const names = [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1])
  return names.map((name) => ({ name, in: "path", required: true, schema: { type: "string" } }))
}

function operationId(method: string, path: string): string {
  return `${method.toLowerCase()}${path.replaceAll(/[^A-Za-z0-9]+/g, "_").replace(/_$/, "")}`
}
