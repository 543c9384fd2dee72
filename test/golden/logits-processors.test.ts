/** Logits processors through the whole engine on a tiny model, the one of the documentation among them. */
import { afterAll, describe, expect, test } from "bun:test"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import type { LogitsProcessor, LogitsRequest } from "../../src/exec/logits-processors/interface.ts"
import { loadLogitsProcessors } from "../../src/exec/logits-processors/load.ts"
import type { EngineConfig } from "../../src/exec/engine-config.ts"
import { TestEngine, modelPathOf } from "../engine-harness.ts"
import { fixture } from "../fixtures.ts"

const dir = fixture("models/llama")
const EXAMPLE = resolve(import.meta.dir, "../../docs/examples/no-repeated-ngrams.ts")
const PROMPTS = [[5, 9, 200, 31, 77], [8, 8, 8], [300, 2, 41, 7]]

function engine(processors: readonly LogitsProcessor[], overrides: Partial<EngineConfig> = {}): TestEngine {
  const make = processors.map((processor) => () => processor)
  return new TestEngine(modelPathOf(dir!), { maxModelLen: 128, numThreads: 1, ...overrides }, make)
}

/** Forces one token of `args.force`, at every place or from the `args.from`th output on. */
function forcing(seen: string[] = []): LogitsProcessor {
  return {
    name: "forcing",
    add(request: LogitsRequest) {
      const { force, from = 0, fail } = request.args as { force?: number; from?: number; fail?: string }
      if (fail === "add") throw new Error("no such thing")
      if (force === undefined && fail === undefined) return null
      seen.push(`+${request.requestId}`)
      return {
        apply(logits) {
          const numOutputs = request.tokenIds.length - request.numPromptTokens
          if (fail === "apply") throw new Error("out of luck")
          if (fail === "nan") logits[3] = NaN
          if (force !== undefined && numOutputs >= from) logits[force] = 1e9
        },
      }
    },
    remove: (requestId) => void seen.push(`-${requestId}`),
  }
}

describe.skipIf(dir === null)("logits processors", () => {
  test("change their requests and no others, whatever the batch", () => {
    const plain = engine([])
    const expected = plain.generate(PROMPTS, { maxTokens: 6 }).map(({ tokenIds }) => tokenIds)
    plain.dispose()
    const seen: string[] = []
    const forced = engine([forcing(seen)])
    expect(forced.generate(PROMPTS, { maxTokens: 6 }).map(({ tokenIds }) => tokenIds)).toEqual(expected)
    expect(seen).toEqual([])
    const [one] = forced.generate([PROMPTS[0]!], { maxTokens: 6, extraArgs: { force: 17, from: 2 } })
    expect(one!.tokenIds).toEqual([...expected[0]!.slice(0, 2), 17, 17, 17, 17])
    forced.generate([], {})
    forced.dispose()
  })

  test("are asked again after a preemption, and told of every end", () => {
    const seen: string[] = []
    const tight = engine([forcing(seen)], { numBlocksOverride: 13, maxNumSeqs: 4 })
    const prompts = Array.from({ length: 4 }, (_, i) => Array.from({ length: 20 }, (_, j) => 10 + 20 * i + j))
    const results = tight.generate(prompts, { maxTokens: 60, extraArgs: { force: 21, from: 50 } })
    expect(tight.scheduler.makeStats().numPreemptions).toBeGreaterThan(0)
    for (const { tokenIds } of results) expect(tokenIds.slice(50)).toEqual(Array.from({ length: 10 }, () => 21))
    // One more plan brings the last ends.
    tight.model.execute(tight.scheduler.schedule())
    expect(seen.filter((each) => each.startsWith("+")).length).toBeGreaterThan(4)
    expect(seen.map((each) => each.slice(1)).toSorted()).toEqual(
      seen.filter((each) => each.startsWith("+")).flatMap((each) => [each.slice(1), each.slice(1)]).toSorted())
    tight.dispose()
  })

  test.each([["add", true, "no such thing"], ["apply", false, "out of luck"], ["nan", false, "NaN"]] as const)(
    "one that fails in %s fails its request alone", (fail, isCallersFault, words) => {
      const failing = engine([forcing()])
      const healthy = failing.generate([PROMPTS[1]!], { maxTokens: 4 })[0]!.tokenIds
      const [failed] = failing.generate([PROMPTS[0]!], { maxTokens: 4, extraArgs: { fail } })
      expect(failed!.tokenIds).toEqual([])
      expect(failed!.failure?.isCallersFault).toBe(isCallersFault)
      expect(failed!.failure?.message).toContain(`logits processor forcing`)
      expect(failed!.failure?.message).toContain(words)
      expect(failing.generate([PROMPTS[1]!], { maxTokens: 4 })[0]!.tokenIds).toEqual(healthy)
      failing.scheduler.verify()
      failing.dispose()
    })

  test("the example keeps runs of tokens from being repeated", async () => {
    const [make] = await loadLogitsProcessors([EXAMPLE])
    const example = new TestEngine(modelPathOf(dir!), { maxModelLen: 128, numThreads: 1 }, [make!])
    const repeats = (ids: readonly number[]) => {
      const pairs = ids.slice(1).map((id, i) => `${ids[i]},${id}`)
      return pairs.length - new Set(pairs).size
    }
    const bias = { logitBias: new Map([[7, 9], [11, 9]]), maxTokens: 40 }
    expect(repeats(example.generate([PROMPTS[0]!], bias)[0]!.tokenIds)).toBeGreaterThan(0)
    const args = { extraArgs: { no_repeat_ngram_size: 2 } }
    expect(repeats(example.generate([PROMPTS[0]!], { ...bias, ...args })[0]!.tokenIds)).toBe(0)
    const [refused] = example.generate([PROMPTS[0]!], { extraArgs: { no_repeat_ngram_size: 0 } })
    expect(refused!.failure?.message).toContain("no_repeat_ngram_size is 0")
    example.dispose()
  })
})

describe("modules of logits processors", () => {
  const folder = mkdtempSync(join(tmpdir(), "baozi-processors-"))
  afterAll(() => rmSync(folder, { recursive: true, force: true }))
  const load = (name: string, text: string) => {
    writeFileSync(join(folder, name), text)
    return loadLogitsProcessors([join(folder, name)])
  }

  test("TypeScript and JavaScript, an object or what makes one", async () => {
    const [object] = await load("a.ts", "const name: string = 'a'\nexport default { name, add: () => null }")
    expect(object!({ vocabSize: 9, maxModelLen: 9 }).name).toBe("a")
    const [made] = await load("b.js", "export default ({ vocabSize }) => ({ name: `b${vocabSize}`, add: () => null })")
    expect(made!({ vocabSize: 9, maxModelLen: 9 }).name).toBe("b9")
  })

  test("what is none is refused by name", async () => {
    await expect(load("c.js", "export const name = 'c'")).rejects.toThrow(/--logits-processors .*c\.js: its default/)
    await expect(load("d.js", "throw new Error('not today')")).rejects.toThrow(/d\.js: not today/)
    await expect(loadLogitsProcessors([join(folder, "missing.ts")])).rejects.toThrow(/missing\.ts/)
    const [bad] = await load("e.js", "export default () => 5")
    expect(() => bad!({ vocabSize: 9, maxModelLen: 9 })).toThrow(/makes no logits processor/)
  })
})
