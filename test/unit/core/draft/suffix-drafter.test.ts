import { describe, expect, test } from "bun:test"
import type { DraftRequest } from "../../../../src/core/draft/drafter.ts"
import { SuffixDrafter } from "../../../../src/core/draft/suffix-drafter.ts"

function request(text: string, options: { id?: string; prompt?: number; tenant?: string | null } = {}): DraftRequest {
  const tokenIds = [...text].map((c) => c.charCodeAt(0))
  const { id = "r", prompt = 0, tenant = null } = options
  return { requestId: id, tokenIds, numPromptTokens: prompt, tenant }
}

const propose = (drafter: SuffixDrafter, asked: DraftRequest, maxTokens = 8) =>
  String.fromCharCode(...drafter.propose(asked, maxTokens))

describe("the suffix drafter", () => {
  test("repeats what followed in the request itself, as many tokens as matched", () => {
    const text = "the cat sat. the cat"
    expect(propose(new SuffixDrafter(), request(text))).toBe(" sat. t")
    expect(propose(new SuffixDrafter(), request(text), 3)).toBe(" sa")
    expect(propose(new SuffixDrafter({ maxSpecFactor: 0.5 }), request(text))).toBe(" sa")
    expect(propose(new SuffixDrafter({ maxDepth: 6 }), request(text))).toBe(" sa")
    expect(propose(new SuffixDrafter(), request("abcdefg"))).toBe("")
  })

  test("prefers what followed most often, and stops where it is anybody's guess", () => {
    const text = "ab1 ab2 ab2 ab2 ab"
    expect(propose(new SuffixDrafter({ maxSpecFactor: 4 }), request(text), 4)).toBe("2 ab")
    expect(propose(new SuffixDrafter({ minTokenProb: 0.5 }), request("xa xb xc xd x"), 4)).toBe("")
    expect(propose(new SuffixDrafter({ minTokenProb: 0.25 }), request("xa xb xc xd x"), 4)).not.toBe("")
  })

  test("follows a request that grows", () => {
    const drafter = new SuffixDrafter()
    expect(propose(drafter, request("abcdef"))).toBe("")
    expect(propose(drafter, request("abcdefabc"))).toBe("def")
    expect(propose(drafter, request("abcdefabcdefa"))).toBe("bcdefa")
    drafter.finish(request("abcdefabcdefa"))
    expect(propose(drafter, request("abc"))).toBe("")
  })

  test("knows past outputs of the same tenant, but neither their prompts nor others' outputs", () => {
    const drafter = new SuffixDrafter()
    drafter.finish(request("question: answer", { prompt: 9, tenant: "a" }))
    expect(propose(drafter, request("what? ans", { id: "s", tenant: "a" }))).toBe("wer")
    expect(propose(drafter, request("qu", { id: "t", tenant: "a" }))).toBe("")
    expect(propose(drafter, request("what? ans", { id: "u", tenant: "b" }))).toBe("")
    expect(propose(drafter, request("what? ans", { id: "v", tenant: null }))).toBe("")
  })

  test("forgets the oldest outputs, of the tenant that was idle longest first", () => {
    const drafter = new SuffixDrafter({ maxCachedRequests: 2 })
    drafter.finish(request("12345", { tenant: "a" }))
    drafter.finish(request("abcde", { tenant: "b" }))
    drafter.finish(request("fghij", { tenant: "b" }))
    expect(drafter.cached).toMatchObject({ numRequests: 2, numTenants: 1 })
    expect(propose(drafter, request("123", { id: "s", tenant: "a" }))).toBe("")
    expect(propose(drafter, request("abc", { id: "t", tenant: "b" }))).toBe("de")
    drafter.finish(request("klmno", { tenant: "b" }))
    expect(propose(drafter, request("abc", { id: "u", tenant: "b" }))).toBe("")
    expect(propose(drafter, request("fgh", { id: "v", tenant: "b" }))).toBe("ij")
  })

  test("keeps within its nodes, and keeps nothing where it is told to", () => {
    const drafter = new SuffixDrafter({ maxCachedNodes: 100 })
    for (let i = 0; i < 50; i++) drafter.finish(request(`output ${i} of fifty ${i}`, { tenant: `t${i % 3}` }))
    expect(drafter.cached.numNodes).toBeLessThanOrEqual(100)
    expect(drafter.cached.numRequests).toBeGreaterThan(0)
    const none = new SuffixDrafter({ maxCachedRequests: 0 })
    none.finish(request("abc", { tenant: "a" }))
    expect(none.cached).toEqual({ numRequests: 0, numNodes: 0, numTenants: 0 })
  })
})
