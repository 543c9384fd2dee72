/** What grammars of schemas admit, by the texts that they admit. The suite of test/conformance has the rest. */
import { beforeAll, describe, expect, test } from "bun:test"
import type { GrammarCompiler } from "xgrammar-wasm"
import { compileSchema, type SchemaOptions } from "../../../src/grammar/schema/compile-schema.ts"
import { SchemaError } from "../../../src/grammar/schema/schema-error.ts"
import { admits, tinyCompiler } from "../../tools/random-text.ts"

let compiler: GrammarCompiler
beforeAll(async () => {
  compiler = await tinyCompiler()
})

function check(
  schema: unknown, admitted: readonly string[], others: readonly string[], options: SchemaOptions = {},
): void {
  using grammar = compiler.compile("ebnf", compileSchema(schema, options))
  const texts = [...admitted, ...others]
  expect(texts.filter((text) => admits(grammar, text))).toEqual([...admitted])
}

describe("strings", () => {
  test("hold escapes, and no control characters", () => {
    check(
      { type: "string" },
      [`""`, `"a\\n\\u00e9\\"\\/é😀"`, `"\\ud83d\\ude00"`],
      [`"\n"`, `"\\x"`, `"\\ud83d"`, "a", `"a`],
    )
  })
  test("with a length count an escape as one character", () => {
    check({ type: "string", minLength: 2, maxLength: 3 }, [`"ab"`, `"a\\n"`, `"\\ud83d\\ude00\\u00e9\\""`, `"😀é"`],
      [`"a"`, `"abcd"`, `"\\n"`, `"\t\t"`])
  })
  test("are held to pattern, length and format at once", () => {
    check(
      { type: "string", pattern: `^[a-z"]+$`, maxLength: 3, not: { const: "no" } },
      [`"abc"`, `"\\""`],
      [`"abcd"`, `"no"`, `"A"`],
    )
    check({ type: "string", format: "date", pattern: "^2024" }, [`"2024-02-29"`], [`"2023-02-28"`, `"2024-02-30"`])
  })
  test("match a pattern anywhere in them", () => {
    check({ type: "string", pattern: "b+" }, [`"abc"`, `"b"`], [`"ac"`])
  })
  test("longer than what is counted one by one hold no escapes", () => {
    check({ type: "string", maxLength: 2000 }, [`"${"x".repeat(2000)}"`], [`"${"x".repeat(2001)}"`, `"\\n"`])
  })
})

describe("numbers", () => {
  test("have their bounds to the digit", () => {
    check(
      { type: "number", exclusiveMinimum: 0, maximum: 1.5 },
      ["1.5", "1.4999999999", "0.0000000001"],
      ["0", "1.50001", "-1", "2"],
    )
  })
  test("that are whole are written without a point", () => {
    check({ type: "integer", multipleOf: 5, minimum: -10 }, ["-10", "0", "25"], ["-15", "3", "5.0", "-0", "05"])
  })
  test("of a list are written in one way", () => {
    check({ enum: [1, 2.5, -0.1] }, ["1", "2.5", "-0.1"], ["1.0", "2.50", "2"])
  })
})

describe("objects", () => {
  const properties = { a: { type: "integer" }, b: { type: "string" } }
  test("that are closed have their properties in order", () => {
    check({ type: "object", properties, required: ["a"], additionalProperties: false },
      [`{"a":1}`, `{"a":1,"b":"x"}`, `{ "a" : 1 }`], ["{}", `{"b":"x","a":1}`, `{"a":1,"c":1}`, `{"a":1,"a":1}`])
  })
  test("that are open have them anywhere, and no other value under their names", () => {
    check({ type: "object", properties, required: ["a"] },
      [`{"c":null,"b":"x","a":1}`, `{"a":1,"aa":"x"}`], [`{"a":"1"}`, `{"c":1}`, `{"\\u0061":"x","a":1}`])
  })
  test("tell keys apart by pattern and name", () => {
    const schema = {
      type: "object", patternProperties: { "^n": { type: "number" } }, properties: { no: { maximum: 5 } },
      additionalProperties: { type: "null" },
    }
    check(schema,
      [`{"n1":1,"no":5,"x":null}`], [`{"n1":null}`, `{"no":6}`, `{"no":null}`, `{"x":1}`])
  })
  test("count their properties", () => {
    check(
      { type: "object", properties, additionalProperties: false, minProperties: 2 },
      [`{"a":1,"b":""}`],
      ["{}", `{"a":1}`],
    )
    check({ type: "object", maxProperties: 1 }, ["{}", `{"x":1}`], [`{"x":1,"y":1}`])
  })
  test("that name properties have no others for requests, unless the schema says so", () => {
    const closed = { closesObjects: true }
    const properties = { a: { type: "integer" } }
    check({ type: "object", properties }, ["{}", `{"a":1}`], [`{"x":1}`, `{"a":1,"x":1}`], closed)
    check({ type: "object", properties, additionalProperties: true }, [`{"a":1,"x":1}`], [`{"a":""}`], closed)
    check({ type: "object", properties, patternProperties: { "^x": {} } }, [`{"a":1,"x":1}`], [], closed)
    check({ type: "object", properties, required: ["a"], minProperties: 2 }, [`{"a":1,"x":1}`], [`{"a":1}`], closed)
    check({ type: "object" }, [`{"x":1}`], ["[]"], closed)
    check({ type: "object", properties }, [`{"x":1}`], [`{"a":""}`])
  })
  test("without blanks where none are wanted", () => {
    check({ type: "object", properties: { a: { type: "array" } }, required: ["a"], additionalProperties: false },
      [`{"a":[1,{}]}`], [`{"a": [1]}`, `{"a":[1, 2]}`], { blanks: "none" })
  })
})

describe("arrays", () => {
  test("have a prefix and the rest", () => {
    check({ type: "array", prefixItems: [{ const: 1 }, { const: 2 }], items: { const: 3 }, minItems: 1, maxItems: 3 },
      ["[1]", "[1,2]", "[1,2,3]"], ["[]", "[2]", "[1,3]", "[1,2,3,3]"])
  })
  test("contain as many as they should", () => {
    check({ type: "array", contains: { type: "string" }, minContains: 1, maxContains: 2, maxItems: 3 },
      [`["a"]`, `[1,"a","b"]`], ["[]", "[1]", `["a","b","c"]`, `[1,2,3,"a"]`])
  })
})

describe("schemas together", () => {
  test("hold at once", () => {
    const low = { properties: { a: { minimum: 1 } } }
    const high = { properties: { a: { maximum: 2 }, b: {} }, required: ["a"] }
    check({ allOf: [low, high], type: "object" },
      [`{"a":1}`, `{"b":0,"a":2}`], [`{"a":3}`, `{"b":1}`])
  })
  test("one of which holds, told apart by a property", () => {
    const variant = (kind: string, type: string) => ({
      type: "object", properties: { kind: { const: kind }, value: { type } }, required: ["kind", "value"],
      additionalProperties: false,
    })
    check({ oneOf: [variant("n", "number"), variant("s", "string")] },
      [`{"kind":"n","value":1}`, `{"kind":"s","value":"1"}`], [`{"kind":"s","value":1}`])
  })
  test("one of which holds and not the other", () => {
    check({ oneOf: [{ type: "integer" }, { minimum: 2 }] }, ["1", "2.5", `"x"`], ["3", "1.5"])
  })
  test("hold if others do", () => {
    const schema = {
      type: "object", properties: { t: { enum: ["a", "b"] }, n: { type: "number" } }, required: ["t"],
      additionalProperties: false, if: { properties: { t: { const: "a" } } }, then: { required: ["n"] },
    }
    check(schema, [`{"t":"a","n":1}`, `{"t":"b"}`], [`{"t":"a"}`])
  })
  test("lead back to themselves", () => {
    check(
      { $ref: "#/$defs/tree", $defs: { tree: { type: "array", items: { $ref: "#/$defs/tree" } } } },
      ["[]", "[[],[[]]]"],
      ["[1]", "{}"],
    )
  })
})

describe("what cannot be enforced is refused by keyword and path", () => {
  const cases: [string, unknown, string, string][] = [
    ["uniqueItems", { properties: { a: { uniqueItems: true } } }, "uniqueItems", "/properties/a"],
    ["an unknown format", { type: "string", format: "iri" }, "format", ""],
    ["a reference to nowhere", { items: { $ref: "#/$defs/x" } }, "$ref", "/items"],
    ["a reference outside", { $ref: "https://example.com/x.json" }, "$ref", ""],
    ["a reference to itself", { $ref: "#" }, "$ref", ""],
    ["a lookahead", { pattern: "(?!x)" }, "pattern", ""],
    ["a bound that is none", { minimum: "1" }, "minimum", ""],
    ["minProperties of any names", { type: "object", minProperties: 2 }, "minProperties", ""],
    ["a schema that is none", { items: 5 }, "null", "/items"],
    ["nothing at all", false, "null", ""],
    ["a property without end", { type: "object", properties: { a: { $ref: "#" } }, required: ["a"] }, "null", ""],
    ["a large DFA", { type: "string", pattern: "(a|b)*a(a|b){14}c", maxLength: 400 }, "pattern", ""],
  ]
  test.each(cases)("%s", (_, schema, keyword, path) => {
    let refusal: unknown
    try {
      compileSchema(schema)
    } catch (error) {
      refusal = error
    }
    expect(refusal).toBeInstanceOf(SchemaError)
    const { keyword: named, path: where } = refusal as SchemaError
    expect([String(named), where]).toEqual([keyword, path])
  })

  test("only where a value of the kind may stand", () => {
    check({ type: "number", format: "iri", uniqueItems: true }, ["1"], [`"a"`, "[]"])
  })
})
