/** An OpenAPI document as a client reads it, and whether an answer is one that the document tells of. */
import type { RawAnswer } from "./recording.ts"
import { misfits } from "./json-schema.ts"
import type { Schema } from "./json-schema.ts"

type Content = Readonly<Record<string, { readonly schema: Schema }>>

export interface Parameter {
  readonly name: string
  readonly in: "path" | "query"
  readonly required?: boolean
  readonly schema: Schema
}

export interface Operation {
  readonly method: string
  readonly path: string
  readonly summary: string
  readonly operationId: string
  readonly tags: readonly string[]
  readonly parameters: readonly Parameter[]
  readonly requestBody?: { readonly content: Content }
  readonly responses: Readonly<Record<string, { readonly description: string; readonly content: Content }>>
}

type Paths = Readonly<Record<string, Readonly<Record<string, Omit<Operation, "method" | "path">>>>>

export interface OpenApiDocument {
  readonly paths: Paths
  readonly components: { readonly schemas: Readonly<Record<string, unknown>> }
}

/** With what they refer to in its place. */
export function operationsOf(document: OpenApiDocument): Operation[] {
  const paths = resolved(document.paths, document.components.schemas) as Paths
  return Object.entries(paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]) => ({ ...operation, method: method.toUpperCase(), path })))
}

const REFERENCE = /^#\/components\/schemas\/(\w+)$/

/** Errors: a reference to what is not there. */
function resolved(node: unknown, schemas: OpenApiDocument["components"]["schemas"]): unknown {
  if (Array.isArray(node)) return node.map((item) => resolved(item, schemas))
  if (typeof node !== "object" || node === null) return node
  if (!("$ref" in node)) return Object.fromEntries(Object.entries(node).map(([k, v]) => [k, resolved(v, schemas)]))
  const name = REFERENCE.exec(String(node.$ref))?.[1]
  if (name === undefined || !(name in schemas)) throw new Error(`${String(node.$ref)} refers to nothing`)
  return resolved(schemas[name], schemas)
}

/** The operation that serves `path`, which may have a query; null for what the document does not name. */
export function operationAt(operations: readonly Operation[], method: string, path: string): Operation | null {
  const [bare] = path.split("?")
  const serves = (template: string): boolean =>
    new RegExp(`^${template.replaceAll(/\{\w+\}/g, "[^/]+")}$`).test(bare!)
  const candidates = operations.filter((operation) => operation.method === method && serves(operation.path))
  return candidates.find((operation) => operation.path === bare) ?? candidates[0] ?? null
}

/** What of `answer` the document does not tell of, a line each. */
export function untold({ method, path, responses }: Operation, answer: RawAnswer): string[] {
  const at = `${method} ${path}: ${answer.status}`
  const response = responses[answer.status]
  if (response === undefined) return [`${at} is not documented: ${answer.text.slice(0, 200)}`]
  const type = answer.headers.get("content-type")?.split(";")[0] ?? null
  if (type === null) {
    return Object.keys(response.content).length === 0 && answer.text === "" ? [] : [`${at} has no content type`]
  }
  const described = response.content[type]
  if (described === undefined) return [`${at} with ${type} is not documented: ${answer.text.slice(0, 200)}`]
  return valuesOf(type, answer).flatMap((value) => misfits(described.schema, value)).map((misfit) => `${at}: ${misfit}`)
}

function valuesOf(type: string, answer: RawAnswer): unknown[] {
  if (type === "text/event-stream") return dataOf(answer.text)
  return [type === "application/json" ? JSON.parse(answer.text) : answer.text]
}

/** The data of each event, also of those with a name or an id. */
function dataOf(text: string): unknown[] {
  const lines = text.split("\n").filter((line) => line.startsWith("data: ")).map((line) => line.slice("data: ".length))
  return lines.map((line) => (line === "[DONE]" ? line : JSON.parse(line)))
}
