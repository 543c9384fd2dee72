import { describe, expect, test } from "bun:test"
import { readStoredScheme } from "../../../src/model/stored-scheme.ts"

const read = (quantization_config: unknown) => readStoredScheme({ quantization_config })

describe("quantization_config", () => {
  test("GPTQ: groups of columns, -1 for one a row", () => {
    expect(read({ quant_method: "gptq", bits: 4, group_size: 128 })).toEqual({ kind: "gptq", groupSize: 128 })
    expect(read({ quant_method: "gptq", bits: 4, group_size: -1, checkpoint_format: "gptq" }))
      .toEqual({ kind: "gptq", groupSize: 0 })
  })

  test("FP8: a scale for each block, or one", () => {
    expect(read({ quant_method: "fp8", fmt: "e4m3", weight_block_size: [128, 64] }))
      .toEqual({ kind: "fp8", blockRows: 128, blockCols: 64 })
    expect(read({ quant_method: "fp8" })).toEqual({ kind: "fp8", blockRows: 0, blockCols: 0 })
  })

  test("nothing of the kind", () => {
    expect(read(null)).toBeNull()
    expect(read({ quant_method: "awq", bits: 4 })).toBeNull()
  })

  test("what kernels do not take is told with what they do", () => {
    const cases: [unknown, string][] = [
      [{ quant_method: "gptq", bits: 8, group_size: 128 }, "quantization_config.bits is 8; supported: 4"],
      [{ quant_method: "gptq", bits: 4 }, "quantization_config.group_size is missing; supported: -1, 16, 32, 64, 128"],
      [{ quant_method: "gptq", bits: 4, group_size: 32, checkpoint_format: "marlin" }, 'is "marlin"; supported: gptq'],
      [{ quant_method: "fp8", fmt: "e5m2" }, 'quantization_config.fmt is "e5m2"; supported: e4m3'],
      [{ quant_method: "fp8", weight_block_size: [128] }, "weight_block_size is [128]; supported: two whole numbers"],
    ]
    for (const [settings, message] of cases) expect(() => read(settings)).toThrow(message)
  })
})
