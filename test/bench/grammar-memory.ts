/**
 * Memory of a grammar thread over COUNT= compiles, each of a grammar that has not been there. Some are refused, and most
 * are thrown out of the cache by later ones.
 */
import { XGrammar } from "xgrammar-wasm"
import { readGrammarModule } from "../../src/base/embedded.ts"
import type { GrammarSpec } from "../../src/core/grammar-spec.ts"
import { GrammarStore } from "../../src/grammar/grammar-store.ts"
import { sourceOf, wordsOf } from "../../src/grammar/source.ts"
import { readVocabulary } from "../../src/grammar/vocabulary.ts"
import { ToyTokenizer } from "../toy-tokenizer.ts"

const COUNT = Number(process.env["COUNT"] ?? 10_000)
const CACHE_BYTES = 8 << 20
const REPORTS = 10

function specOf(i: number): GrammarSpec {
  switch (i % 5) {
    case 0: return { kind: "choice", choices: [`a${i}`, "b"] }
    case 1: return { kind: "regex", pattern: `[a-z]+${i}` }
    case 2: return { kind: "ebnf", grammar: `root ::= nope${i}` }
    case 3: {
      const tag = { structures: [{ begin: `<f${i}>`, end: "</f>" }], triggers: ["<f"] }
      return { kind: "structural_tag", tag: JSON.stringify(tag) }
    }
    default: {
      const properties = { [`p${i}`]: { type: "string", maxLength: 5 + (i % 40) }, n: { type: "integer", minimum: i } }
      return { kind: "json_schema", schema: JSON.stringify({ type: "object", properties }), isCompact: i % 2 === 0 }
    }
  }
}

const tokenizer = new ToyTokenizer()
const xgrammar = await XGrammar.instantiate(await WebAssembly.compile(readGrammarModule() as Uint8Array<ArrayBuffer>))
const vocabulary = readVocabulary(tokenizer, { vocabSize: tokenizer.vocabSize, stopTokenIds: [tokenizer.eosTokenId] })
const store = new GrammarStore(xgrammar, vocabulary, CACHE_BYTES)
const mask = new Uint32Array(Math.ceil(tokenizer.vocabSize / 32))

for (let i = 1; i <= COUNT; i++) {
  try {
    const grammar = store.compile(sourceOf(specOf(i)))
    store.add(i, grammar)
    using matcher = grammar.matcher()
    matcher.fillMask(mask)
    store.release(i)
  } catch (error) {
    if (wordsOf(error) === null) throw error
  }
  store.evict()
  if (i % 1000 === 0 && (i === 1000 || i % Math.ceil(COUNT / REPORTS) === 0)) {
    const { heapUsed, rss } = process.memoryUsage()
    const shown = [store.memoryBytes, heapUsed, rss].map((bytes) => `${(bytes / 1e6).toFixed(1)} MB`)
    console.log(`${i} grammars: module ${shown[0]}, heap ${shown[1]}, process ${shown[2]}`)
  }
}
