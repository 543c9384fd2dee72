/** Constraints on the generated text: checked for shape, and refused until a grammar can enforce them. */
import { RequestError } from "../base/errors.ts"

const CONSTRAINTS = ["json", "regex", "choice", "grammar", "json_object", "structural_tag"] as const
const FORMATS: readonly unknown[] = ["text", "json_object", "json_schema", "structural_tag"]

type JsonObject = Readonly<Record<string, unknown>>

/** Errors: `RequestError` for a constraint that is malformed, and for one that is not supported yet. */
export function refuseConstraints(responseFormat: JsonObject | null, structuredOutputs: JsonObject | null): void {
  if (responseFormat !== null) checkResponseFormat(responseFormat)
  if (structuredOutputs !== null) checkStructuredOutputs(structuredOutputs)
}

function checkResponseFormat(format: JsonObject): void {
  const param = "response_format"
  if (!FORMATS.includes(format["type"])) {
    const got = JSON.stringify(format["type"])
    throw new RequestError(`response_format.type must be one of ${FORMATS.join(", ")}, got ${got}.`, { param })
  }
  if (format["type"] === "text") return
  if (format["type"] === "json_schema" && (format["json_schema"] ?? null) === null) {
    throw new RequestError(
      "When response_format type is 'json_schema', the 'json_schema' field must be provided.", { param },
    )
  }
  throw new RequestError(`response_format of type ${JSON.stringify(format["type"])} is not supported yet.`, { param })
}

function checkStructuredOutputs(constraints: JsonObject): void {
  const param = "structured_outputs"
  const asked = CONSTRAINTS.filter((name) => (constraints[name] ?? null) !== null)
  if (asked.length > 1) {
    throw new RequestError(`structured_outputs takes one kind of constraint, got ${asked.join(" and ")}.`, { param })
  }
  if (asked[0] !== undefined) throw new RequestError(`structured_outputs.${asked[0]} is not supported yet.`, { param })
  throw new RequestError(`structured_outputs must have one of ${CONSTRAINTS.join(", ")}.`, { param })
}
