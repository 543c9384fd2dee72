/**
 * What grammars cost, over the schemas of the JSON-Schema-Test-Suite and a schema of five fields: time to compile one,
 * and of a mask at every token of the suite's valid instances.
 *
 *     make bench-grammar      with the default model's vocabulary, and a tokenizer of 152k tokens
 */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { XGrammar, type CompiledGrammar } from "xgrammar-wasm"
import { readGrammarModule } from "../../src/base/embedded.ts"
import { compileSchema } from "../../src/grammar/schema/compile-schema.ts"
import { SchemaError } from "../../src/grammar/schema/schema-error.ts"
import { readVocabulary, withoutSpecials } from "../../src/grammar/vocabulary.ts"
import type { Tokenizer } from "../../src/text/tokenizer.ts"
import { SUITE, suiteFiles } from "../conformance/schema-suite.ts"
import { benchTokenizers } from "./grammar-tokenizers.ts"

interface Sample {
  readonly schema: unknown
  readonly texts: readonly string[]
}

const FIVE_FIELDS: Sample = {
  schema: {
    type: "object", additionalProperties: false, required: ["name", "age", "email", "tags", "address"],
    properties: {
      name: { type: "string", minLength: 1, maxLength: 80 },
      age: { type: "integer", minimum: 0, maximum: 150 },
      email: { type: "string", format: "email" },
      tags: { type: "array", items: { type: "string" }, maxItems: 8 },
      address: {
        type: "object", properties: { street: { type: "string" }, zip: { type: "string", pattern: "^\\d{5}$" } },
        required: ["street", "zip"], additionalProperties: false,
      },
    },
  },
  texts: [
    "{\"name\": \"Ada Lovelace\", \"age\": 36, \"email\": \"ada@example.com\", \"tags\": [\"maths\", \"poetry\"], " +
      "\"address\": {\"street\": \"12 St James's Square\", \"zip\": \"12345\"}}",
  ],
}

function suiteSamples(): Sample[] {
  return suiteFiles("2020-12").flatMap((file) => {
    const groups = JSON.parse(readFileSync(join(SUITE, "draft2020-12", file), "utf8")) as {
      schema: unknown
      tests: { data: unknown; valid: boolean }[]
    }[]
    return groups.map(({ schema, tests }) => ({
      schema, texts: tests.filter(({ valid }) => valid).map(({ data }) => JSON.stringify(data, null, 1)),
    }))
  })
}

function grammarOf(schema: unknown): string | null {
  try {
    return compileSchema(schema)
  } catch (error) {
    if (error instanceof SchemaError) return null
    throw error
  }
}

function quantile(values: readonly number[], share: number): string {
  const sorted = values.toSorted((a, b) => a - b)
  return (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0).toFixed(1)
}

function timed<T>(into: number[], unit: number, run: () => T): T {
  const start = performance.now()
  const value = run()
  into.push((performance.now() - start) * unit)
  return value
}

/** Microseconds of each mask along the texts. */
function maskTimes(grammar: CompiledGrammar, tokenizer: Tokenizer, texts: readonly string[], into: number[]): void {
  const mask = new Uint32Array(Math.ceil(tokenizer.vocabSize / 32))
  for (const text of texts) {
    using matcher = grammar.matcher()
    for (const token of tokenizer.encode(text, { addSpecialTokens: false })) {
      timed(into, 1000, () => matcher.fillMask(mask))
      if (!matcher.accept(token)) break
    }
  }
}

async function measure(name: string, tokenizer: Tokenizer): Promise<void> {
  const xgrammar = await XGrammar.instantiate(await WebAssembly.compile(readGrammarModule() as Uint8Array<ArrayBuffer>))
  const { vocabSize } = tokenizer
  const stopTokenIds = [tokenizer.eosTokenId ?? 0]
  const tokens = withoutSpecials(readVocabulary(tokenizer, { vocabSize, stopTokenIds }), [])
  const start: number[] = []
  const info = timed(start, 1, () => xgrammar.tokenizer({ ...tokens, vocabSize, stopTokenIds }))
  console.log(`\n${name}: ${tokenizer.vocabSize} tokens, ready in ${start[0]!.toFixed(0)} ms`)
  const compiler = info.compiler({ cacheBytes: 1 << 26, isLazy: true })
  for (const [what, samples] of [["five fields", [FIVE_FIELDS]], ["suite, 2020-12", suiteSamples()]] as const) {
    const written: number[] = []
    const compiled: number[] = []
    const warmed: number[] = []
    const cold: number[] = []
    const masks: number[] = []
    for (const { schema, texts } of samples) {
      const text = timed(written, 1, () => grammarOf(schema))
      if (text === null) continue
      using grammar = timed(compiled, 1, () => compiler.compile("ebnf", text))
      maskTimes(grammar, tokenizer, texts.slice(0, 1), cold)
      timed(warmed, 1, () => {
        for (let rule = 0; rule < grammar.ruleCount; rule++) grammar.warm(rule)
      })
      maskTimes(grammar, tokenizer, texts, masks)
    }
    const row = (values: readonly number[]) => [0.5, 0.9, 0.99, 1].map((share) => quantile(values, share)).join(", ")
    console.log(`  ${what}: ${compiled.length} grammars, ${masks.length} masks (median, p90, p99, most)`)
    console.log(`    schema to EBNF ms ${row(written)}; EBNF to grammar ms ${row(compiled)}`)
    console.log(`    all masks ahead ms ${row(warmed)}`)
    console.log(`    mask before they are made µs ${row(cold)}; after µs ${row(masks)}`)
  }
  console.log(`  memory of the module ${(xgrammar.memoryBytes / 1e6).toFixed(1)} MB`)
}

for (const [name, tokenizer] of await benchTokenizers()) await measure(name, tokenizer)
