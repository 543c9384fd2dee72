import { expect, test } from "bun:test"
import fc from "fast-check"
import { BufferPlan } from "../../../src/tensor/buffers.ts"
import { columns, type Device, type Matrix } from "../../../src/tensor/device.ts"

const BASE = 4096

/** Counts what it gives, one piece of memory behind the other. */
function countingDevice() {
  const given = { bytes: 0 }
  const device = {
    matrix: (rows: number, cols: number, dtype: "F32"): Matrix => {
      const address = BASE + given.bytes
      given.bytes += rows * cols * 4
      return { address, dtype, cols, stride: cols }
    },
  } as unknown as Device
  return { device, given }
}

test("buffers of one shape share memory where they do not live at the same time", () => {
  const plan = new BufferPlan()
  const [first, second, third] = [plan.add(8, 4, "F32"), plan.add(8, 4, "F32"), plan.add(8, 4, "F32")]
  plan.use(first.address, 0)
  plan.use(first.address, 1)
  plan.use(second.address, 1)
  plan.use(second.address, 2)
  plan.use(third.address, 2)
  const { device, given } = countingDevice()
  plan.allocate(device)
  expect(given.bytes).toBe(2 * 8 * 4 * 4)
  expect(plan.resolve(third.address)).toBe(plan.resolve(first.address))
  expect(plan.resolve(second.address)).not.toBe(plan.resolve(first.address))
})

test("an offset into a buffer stays one, and an address of other memory is left as it is", () => {
  const plan = new BufferPlan()
  const matrix = plan.add(8, 16, "F32")
  plan.use(columns(matrix, 5, 2).address, 0)
  plan.allocate(countingDevice().device)
  expect(plan.resolve(columns(matrix, 5, 2).address)).toBe(plan.resolve(matrix.address) + 20)
  expect(plan.resolve(1234)).toBe(1234)
  expect(plan.owns(1234)).toBe(false)
})

test("what is kept is not shared with anything that comes later", () => {
  const plan = new BufferPlan()
  const [kept, later] = [plan.add(4, 4, "F32"), plan.add(4, 4, "F32")]
  plan.use(kept.address, 0)
  plan.use(later.address, 5)
  plan.keep(kept)
  plan.allocate(countingDevice().device)
  expect(plan.resolve(later.address)).not.toBe(plan.resolve(kept.address))
})

test("buffers that live at the same time never overlap", () => {
  const use = fc.record({ cols: fc.integer({ min: 1, max: 3 }), first: fc.nat(20), length: fc.nat(6) })
  fc.assert(fc.property(fc.array(use, { minLength: 1, maxLength: 30 }), (lives) => {
    const plan = new BufferPlan()
    const buffers = lives.map(({ cols, first, length }) => {
      const matrix = plan.add(2, cols, "F32")
      plan.use(matrix.address, first)
      plan.use(matrix.address, first + length)
      return { matrix, cols, first, last: first + length }
    })
    plan.allocate(countingDevice().device)
    for (const a of buffers) {
      for (const b of buffers) {
        if (a === b || a.last < b.first || b.last < a.first) continue
        const [from, other] = [plan.resolve(a.matrix.address), plan.resolve(b.matrix.address)]
        expect(from + 8 * a.cols <= other || other + 8 * b.cols <= from).toBe(true)
      }
    }
  }))
})
