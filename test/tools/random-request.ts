/** Requests that fit what an OpenAPI document says of an operation, and spoiled ones. */
import { pick, sample } from "./json-schema.ts"
import type { Random, Schema } from "./json-schema.ts"
import { spoiled } from "./mutate.ts"
import type { Operation, Parameter } from "./openapi.ts"

/** `ids`: such as paths may be filled with. The text is absent where the operation takes no body. */
export function randomRequest(
  { path, parameters, requestBody }: Operation, ids: readonly string[], random: Random,
): { url: string; text?: string } {
  const url = pathWith(path, parameters, ids, random)
  const schema = requestBody?.content["application/json"]?.schema
  if (schema === undefined) return { url }
  const body = fittingBody(schema, random)
  return { url, text: random() < 0.5 ? JSON.stringify(body) : spoiled(body, random) }
}

const messages = [{ role: "system", content: "Be brief." }, { role: "user", content: "hi" }]
/** What a request needs to be answered, fields that no schema can say enough about, and what templates walk through. */
const GOOD: Readonly<Record<string, unknown>> = {
  model: "fake", prompt: ["hi", "ho"], messages, input: "hi", documents: [{ text: {} }], chat_template_kwargs: { x: [] },
}

/** A body that fits the schema; most of them are asked for something sensible. */
function fittingBody(schema: Schema, random: Random): unknown {
  if (schema.anyOf !== undefined) return fittingBody(pick(random, schema.anyOf), random)
  const body = sample(schema, random)
  if (typeof body !== "object" || body === null || random() < 0.2) return body
  const known = Object.entries(schema.properties ?? {}).filter(([name]) => name in GOOD)
  return { ...body, ...Object.fromEntries(known.map(([name, property]) => [name, goodValue(name, property)])) }
}

/** A batch has lists of what others have one of. */
function goodValue(name: string, { items }: Schema): unknown {
  return items?.type === "array" ? [GOOD[name], GOOD[name]] : GOOD[name]
}

function pathWith(path: string, parameters: readonly Parameter[], ids: readonly string[], random: Random): string {
  const words = ["fake", "", "nope", "1", "-1", "true", "abort", "wait", "text", "%ff", "a/b", "🙂", "x".repeat(3000)]
  const word = (): string => pick(random, ids.length > 0 && random() < 0.5 ? ids : words) || "x"
  const filled = path.replaceAll(/\{\w+\}/g, () => encodeURIComponent(word()))
  const query = parameters.filter((parameter) => parameter.in === "query" && random() < 0.7).map(({ name, schema }) => {
    const value = random() < 0.5 ? pick(random, words) : String(sample(schema, random))
    return `${name}=${encodeURIComponent(value)}`
  })
  return query.length === 0 ? filled : `${filled}?${query.join("&")}`
}
