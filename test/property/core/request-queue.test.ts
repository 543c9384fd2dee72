import { expect, test } from "bun:test"
import fc from "fast-check"
import { comparisonByPriority, RequestQueue } from "../../../src/core/request-queue.ts"
import { Request } from "../../../src/core/request.ts"
import { defaultSamplingParams } from "../../../src/core/sampling-params.ts"

const op = fc.record({
  kind: fc.constantFrom("add", "add", "prepend", "pop", "remove"),
  priority: fc.nat(3),
  arrivalTime: fc.nat(3),
  at: fc.nat(20),
})

for (const [policy, ageing] of [["fcfs", 0], ["priority", 0], ["priority", 2], ["priority", 0.5]] as const) {
  const compare = comparisonByPriority(ageing)
  test(`the ${policy} queue behaves like a list, with ageing ${ageing}`, () => {
    fc.assert(
      fc.property(fc.array(op, { maxLength: 60 }), (ops) => {
        const queue = new RequestQueue(policy, compare)
        let model: Request[] = []
        for (const [n, { kind, priority, arrivalTime, at }] of ops.entries()) {
          if (kind === "add" || kind === "prepend") {
            const sampling = defaultSamplingParams()
            const request = new Request({ requestId: `${n}`, promptTokenIds: [1], priority, arrivalTime, sampling })
            queue[kind](request)
            model = kind === "add" ? [...model, request] : [request, ...model]
            if (policy === "priority") model.sort(compare)
          } else if (kind === "pop" && model.length > 0) {
            expect(queue.pop()).toBe(model.shift() as Request)
          } else if (kind === "remove" && model.length > 0) {
            const [removed] = model.splice(at % model.length, 1)
            expect(queue.remove(removed as Request)).toBe(true)
            expect(queue.remove(removed as Request)).toBe(false)
          }
          expect([...queue].map((r) => r.requestId)).toEqual(model.map((r) => r.requestId))
          expect(queue.peek()).toBe(model[0] ?? null)
          expect(queue.size).toBe(model.length)
        }
      }),
    )
  })
}
