import { describe, expect, test } from "bun:test"
import type { EngineCoreRequest } from "../../../src/engine/engine-core-port.ts"
import type { FinishedRequest } from "../../../src/engine/finished-request.ts"
import { makeFakeEngine } from "../../fake-engine.ts"
import { fakeLogprobs } from "./fake-core.ts"
import { collect, start } from "./harness.ts"

const EOS = 257

/** The likeliest token after these: the end now and then. */
function nextOf(tokenIds: readonly number[]): number {
  let hash = 7
  for (const id of tokenIds) hash = (Math.imul(hash, 31) + id) >>> 0
  return hash % 5 === 0 ? EOS : 33 + (hash % 80)
}

interface Found {
  tokenIds: number[]
  sum: number
  hasEnded: boolean
}

/** The search in its plainest form. */
function expected(prompt: number[], options: { n: number; maxTokens: number; penalty: number }): Found[] {
  const { n, maxTokens, penalty } = options
  const ended: Found[] = []
  let beams: Found[] = [{ tokenIds: [], sum: 0, hasEnded: false }]
  for (let step = 0; step < maxTokens; step++) {
    const next: Found[] = []
    for (const { tokenIds, sum } of beams) {
      const { tokenId, logprob, topIds, topLogprobs } = fakeLogprobs(nextOf([...prompt, ...tokenIds]), 2 * n)
      const all = topIds.map((id, i) => [id, topLogprobs[i]!] as const)
      if (!topIds.includes(tokenId)) all.unshift([tokenId, logprob])
      for (const [id, value] of all) {
        if (id === EOS) ended.push({ tokenIds, sum: sum + value, hasEnded: true })
        else next.push({ tokenIds: [...tokenIds, id], sum: sum + value, hasEnded: false })
      }
    }
    beams = next.toSorted((a, b) => b.sum - a.sum).slice(0, n)
  }
  const score = ({ sum, tokenIds }: Found) => sum / (prompt.length + tokenIds.length) ** penalty
  return [...ended, ...beams].toSorted((a, b) => score(b) - score(a)).slice(0, n)
}

const makeEngine = () => {
  let textOf = (_: EngineCoreRequest): string => ""
  const fake = makeFakeEngine({ reply: (request) => textOf(request) })
  textOf = ({ promptTokenIds }) => {
    const id = nextOf(promptTokenIds)
    return id === EOS ? "<|eos|>" : fake.tokenizer.decode([id])
  }
  return fake
}

describe("beam search", () => {
  for (const [n, maxTokens, penalty] of [[1, 6, 1], [3, 5, 1], [4, 6, 0], [2, 8, 2]] as const) {
    test(`finds the best ${n} of ${maxTokens} tokens, length penalty ${penalty}`, async () => {
      const { engine } = makeEngine()
      for (const prompt of [[1, 2, 3], [50], [9, 9, 120]]) {
        const sampling = { n, maxTokens, temperature: 0, logprobs: 1 }
        const outputs = await collect(start(engine, {
          promptTokenIds: prompt, sampling, outputKind: "final", beamSearch: { lengthPenalty: penalty },
        }))
        const want = expected(prompt, { n, maxTokens, penalty })
        expect(outputs.map(({ tokenIds }) => tokenIds)).toEqual(want.map(({ tokenIds }) => tokenIds))
        expect(outputs.map(({ finishReason }) => finishReason)).toEqual(
          want.map(({ hasEnded }) => (hasEnded ? "stop" : "length")))
        for (const [i, { logprobs, tokenIds, index, stopReason }] of outputs.entries()) {
          expect(index).toBe(i)
          expect(logprobs!.map(({ tokenId }) => tokenId)).toEqual(tokenIds as number[])
          expect(stopReason).toBe(want[i]!.hasEnded ? EOS : null)
        }
      }
      expect(engine.numUnfinished()).toBe(0)
    })
  }

  test("looks at allowed tokens alone, and gives fewer texts where there are no more", async () => {
    const { engine, core } = makeEngine()
    const figures: FinishedRequest[] = []
    const outputs = await collect(start(engine, {
      sampling: { n: 3, maxTokens: 2, allowedTokenIds: [40] }, outputKind: "final", beamSearch: { lengthPenalty: 1 },
      onFinished: (each) => figures.push(each),
    }))
    expect(core.added[0]!.sampling).toMatchObject({ logprobTokenIds: [40], logprobs: 1 })
    expect(outputs.length).toBeLessThanOrEqual(1)
    expect(figures).toHaveLength(outputs.length)
  })

  test("ends with its signal", async () => {
    const { engine, core, numLive } = makeFakeEngine({ stepMs: null })
    const abort = new AbortController()
    const search = { outputKind: "final", beamSearch: { lengthPenalty: 1 } } as const
    const done = collect(start(engine, { sampling: { n: 2, maxTokens: 4 }, ...search }, abort.signal))
    await Bun.sleep(1)
    core.step()
    await Bun.sleep(1)
    abort.abort()
    expect(await done).toEqual([])
    expect(numLive()).toBe(0)
  })
})
