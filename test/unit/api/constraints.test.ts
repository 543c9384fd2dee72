import { describe, expect, test } from "bun:test"
import { constraintOf } from "../../../src/api/plan/constraints.ts"
import { RequestError } from "../../../src/base/errors.ts"
import type { GrammarSpec } from "../../../src/core/grammar-spec.ts"

const schema = { type: "object" }
const text = JSON.stringify(schema)
const jsonSchema: GrammarSpec = { kind: "json_schema", schema: text, isCompact: false }

describe("a constraint is read from", () => {
  const cases: [string, object, GrammarSpec | null][] = [
    ["nothing", {}, null],
    ["a format of free text", { response_format: { type: "text" } }, null],
    ["a format of any object", { response_format: { type: "json_object" } }, { kind: "json_object", isCompact: false }],
    ["a format with a schema", { response_format: { type: "json_schema", json_schema: { schema } } }, jsonSchema],
    ["a format with a tag", { response_format: { type: "structural_tag", format: {} } },
      { kind: "structural_tag", tag: "{\"type\":\"structural_tag\",\"format\":{}}" }],
    ["a schema", { structured_outputs: { json: schema } }, jsonSchema],
    ["a schema as text", { structured_outputs: { json: text, disable_any_whitespace: true } },
      { ...jsonSchema, isCompact: true }],
    ["json_object", { structured_outputs: { json_object: true } }, { kind: "json_object", isCompact: false }],
    ["a regex, an empty one too", { structured_outputs: { regex: "" } }, { kind: "regex", pattern: "" }],
    ["choices", { structured_outputs: { choice: ["a", "b"] } }, { kind: "choice", choices: ["a", "b"] }],
    ["EBNF", { structured_outputs: { grammar: "root ::= \"a\"" } }, { kind: "ebnf", grammar: "root ::= \"a\"" }],
    ["Lark", { structured_outputs: { grammar: "start: \"::=\" # root ::= x" } },
      { kind: "lark", grammar: "start: \"::=\" # root ::= x" }],
    ["a tag", { structured_outputs: { structural_tag: "{}" } }, { kind: "structural_tag", tag: "{}" }],
    ["an old name", { guided_json: schema }, jsonSchema],
    ["another old name", { guided_choice: ["a"], guided_json_object: false }, { kind: "choice", choices: ["a"] }],
    ["a format, which takes the place of its own kind",
      { response_format: { type: "json_schema", json_schema: { schema } }, structured_outputs: { json: {} } },
      jsonSchema],
  ]
  test.each(cases)("%s", (_, body, spec) => {
    expect(constraintOf(body as Record<string, unknown>)).toEqual(spec)
  })
})

describe("a constraint is refused", () => {
  const cases: [string, object, string | null, RegExp][] = [
    ["of an unknown format", { response_format: { type: "yaml" } }, "response_format", /must be one of/],
    ["without its schema", { response_format: { type: "json_schema" } }, "response_format", /'json_schema' field/],
    ["with a schema that is none", { response_format: { type: "json_schema", json_schema: { schema: 1 } } },
      "response_format", /must be a JSON schema, got 1/],
    ["of two kinds", { structured_outputs: { regex: "a", choice: ["a"] } }, "structured_outputs", /regex and choice/],
    ["of no kind", { structured_outputs: {} }, "structured_outputs", /must have one of/],
    ["beside another", { response_format: { type: "json_object" }, structured_outputs: { regex: "a" } },
      "structured_outputs", /response_format and structured_outputs/],
    ["beside an old name", { guided_regex: "a", structured_outputs: { regex: "a" } }, "guided_regex", /Only one/],
    ["with an unknown field", { structured_outputs: { regexp: "a" } }, "structured_outputs", /no field "regexp"/],
    ["with blanks of its own", { structured_outputs: { json: {}, whitespace_pattern: " " } }, "structured_outputs",
      /whitespace_pattern is not supported/],
    ["without choices", { structured_outputs: { choice: [] } }, null, /cannot be an empty list/],
    ["with choices that are no texts", { structured_outputs: { choice: [1] } }, null, /list of texts, got \[1\]/],
    ["with a blank grammar", { structured_outputs: { grammar: " " } }, null, /not blank/],
    ["with json_object false", { structured_outputs: { json_object: false } }, null, /can only be true/],
  ]
  test.each(cases)("%s", (_, body, param, words) => {
    let refusal: unknown
    try {
      constraintOf(body as Record<string, unknown>)
    } catch (error) {
      refusal = error
    }
    expect(refusal).toBeInstanceOf(RequestError)
    expect((refusal as RequestError).param).toBe(param)
    expect((refusal as RequestError).message).toMatch(words)
  })

  test("by the name that the endpoint has for it", () => {
    const body = { response_format: { type: "json_schema", json_schema: { schema: null } } }
    expect(() => constraintOf(body, { formatField: "text.format" })).toThrow(/^text\.format\.json_schema/)
  })
})
