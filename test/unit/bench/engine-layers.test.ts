import { expect, test } from "bun:test"
import { describeLayers, measureLayers, type EngineLayer } from "../../../src/bench/engine-layers.ts"

test("layers take turns, and their figures are for each size", async () => {
  const ran: string[] = []
  const layer = (name: string): EngineLayer => ({
    name,
    run: (numStreams, outputLen) => void ran.push(`${name} ${numStreams}x${outputLen}`),
    close: () => {},
  })
  const figures = await measureLayers([layer("a"), layer("b")], { numStreams: [1, 4], outputLen: 8, rounds: 2 })
  expect(ran).toEqual(["a 1x8", "b 1x8", "a 1x8", "b 1x8", "a 4x8", "b 4x8", "a 4x8", "b 4x8"])
  expect(figures.map(({ layer, numStreams }) => [layer, numStreams])).toEqual([["a", 1], ["b", 1], ["a", 4], ["b", 4]])
  for (const { tokensPerSecond, stepUs } of figures) expect(tokensPerSecond * stepUs).toBeGreaterThan(0)
  expect(describeLayers(figures).split("\n")[0]).toMatch(/^streams +up to +tokens\/s/)
})
