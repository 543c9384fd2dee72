import { test } from "bun:test"
import fc from "fast-check"
import { KVBlock } from "../../../src/core/kv/block.ts"
import { FreeQueue } from "../../../src/core/kv/free-queue.ts"

const NUM_BLOCKS = 12

type Op = { kind: "pop" | "append" | "prepend"; count: number } | { kind: "remove"; at: number }

const op: fc.Arbitrary<Op> = fc.oneof(
  fc.record({ kind: fc.constantFrom("pop", "append", "prepend"), count: fc.nat(4) }),
  fc.record({ kind: fc.constant("remove"), at: fc.nat(NUM_BLOCKS) }),
)

test("the free queue behaves like an array", () => {
  fc.assert(
    fc.property(fc.array(op, { maxLength: 60 }), (ops) => {
      const blocks = Array.from({ length: NUM_BLOCKS }, (_, id) => new KVBlock(id))
      const queue = new FreeQueue(blocks)
      let model = blocks.slice()
      let out: KVBlock[] = []
      for (const o of ops) {
        switch (o.kind) {
          case "pop": {
            const count = Math.min(o.count, model.length)
            const taken = queue.popFirstN(count)
            assertSame(taken, model.slice(0, count))
            model = model.slice(count)
            out.push(...taken)
            break
          }
          case "remove": {
            const block = model[o.at]
            if (block === undefined) break
            queue.remove(block)
            model.splice(o.at, 1)
            out.push(block)
            break
          }
          case "append":
          case "prepend": {
            const back = out.slice(0, o.count)
            out = out.slice(o.count)
            if (o.kind === "append") queue.appendAll(back)
            else queue.prependAll(back)
            model = o.kind === "append" ? [...model, ...back] : [...back, ...model]
          }
        }
        assertSame(queue.toArray(), model)
        if (queue.size !== model.length) throw new Error(`size ${queue.size}, want ${model.length}`)
      }
    }),
  )
})

function assertSame(got: readonly KVBlock[], want: readonly KVBlock[]): void {
  const [a, b] = [got, want].map((list) => list.map((block) => block.id).join())
  if (a !== b) throw new Error(`${a}, want ${b}`)
}
