import { describe, expect, test } from "bun:test"
import { Admission, NO_LIMITS } from "../../../src/engine/admission.ts"
import type { AdmissionLimits } from "../../../src/engine/admission.ts"

/** An admission whose surroundings the test moves. */
function setUp(limits: Partial<AdmissionLimits>, maxNumSeqs = 2) {
  const world = { now: 0, numUnfinished: 0, numPrefillTokens: 0, rejections: [] as string[] }
  const admission = new Admission({ ...NO_LIMITS, ...limits }, {
    maxNumSeqs,
    now: () => world.now,
    numUnfinished: () => world.numUnfinished,
    numPrefillTokens: () => world.numPrefillTokens,
    onRejection: (reason) => world.rejections.push(reason),
  })
  return { admission, world }
}

/** What `enter` throws, in short; null: it lets in. */
function refusal(admission: Admission, owner = "a", n = 1): unknown[] | null {
  try {
    admission.enter(owner, n)
    return null
  } catch (error) {
    const { status, type, retryAfterSeconds } = error as Record<string, unknown>
    return [status, type, retryAfterSeconds]
  }
}

describe("admission", () => {
  test("without limits lets everybody in", () => {
    const { admission, world } = setUp({})
    world.numUnfinished = 1e6
    expect(refusal(admission, "a", 1000)).toBeNull()
  })

  test("counts unfinished requests, n of each", () => {
    const { admission, world } = setUp({ maxNumQueuedReqs: 5 })
    world.numUnfinished = 3
    expect(refusal(admission, "a", 2)).toBeNull()
    expect(refusal(admission, "a", 3)).toEqual([503, "Service Unavailable", 1])
    expect(world.rejections).toEqual(["max_num_queued_reqs"])
  })

  test("refuses from so many waiting prompt tokens on, however short the next prompt is", () => {
    const { admission, world } = setUp({ maxNumQueuedTokens: 100 })
    world.numPrefillTokens = 99
    expect(refusal(admission)).toBeNull()
    world.numPrefillTokens = 100
    expect(refusal(admission)).toEqual([503, "Service Unavailable", 1])
    expect(world.rejections).toEqual(["max_num_queued_tokens"])
  })

  test("gives each key its share, back when its requests leave", () => {
    const { admission, world } = setUp({ maxRequestsPerKey: 2 })
    const leave = admission.enter("a", 2)
    expect(refusal(admission, "a")).toEqual([429, "RateLimitError", 1])
    expect(refusal(admission, "b", 2)).toBeNull()
    expect(refusal(admission, "b", 3)).toEqual([400, "BadRequestError", null])
    leave()
    expect(refusal(admission, "a", 2)).toBeNull()
    expect(world.rejections).toEqual(["max_requests_per_key"])
  })

  test("says when to come back by how fast requests end", () => {
    const { admission, world } = setUp({ maxRequestsPerKey: 8 })
    const leaves = Array.from({ length: 40 }, (_, i) => admission.enter(`key ${i}`, 1))
    for (const leave of leaves) {
      leave()
      world.now += 4
    }
    admission.enter("a", 8)
    expect(refusal(admission, "a", 2)).toEqual([429, "RateLimitError", 8])
    expect(refusal(admission, "a", 8)).toEqual([429, "RateLimitError", 32])
    world.now += 1e6
    admission.enter("b", 1)()
    expect(refusal(admission, "a", 8)).toEqual([429, "RateLimitError", 60])
  })
})
