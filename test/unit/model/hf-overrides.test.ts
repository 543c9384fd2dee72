import { describe, expect, test } from "bun:test"
import { ConfigError } from "../../../src/base/errors.ts"
import { applyHfOverrides } from "../../../src/model/hf-overrides.ts"

const CONFIG = { model_type: "llama", vocab_size: 8, odd: 1, rope_scaling: { type: "linear", factor: 2 }, "a.b": 5 }

describe("overrides set and remove keys", () => {
  const rows: [overrides: Record<string, unknown>, changed: Record<string, unknown>][] = [
    [{}, {}],
    [{ vocab_size: 9, further: [1] }, { vocab_size: 9, further: [1] }],
    [{ odd: null, absent: null }, { odd: undefined }],
    // An object replaces what was there.
    [{ rope_scaling: { type: "yarn", factor: 4 } }, { rope_scaling: { type: "yarn", factor: 4 } }],
    [{ rope_scaling: null }, { rope_scaling: undefined }],
    // Dots lead into sections, unless they are part of a name.
    [{ "rope_scaling.factor": 3 }, { rope_scaling: { type: "linear", factor: 3 } }],
    [{ "rope_scaling.type": null }, { rope_scaling: { factor: 2 } }],
    [{ "new.section.key": 1 }, { new: { section: { key: 1 } } }],
    [{ "a.b": null }, { "a.b": undefined }],
  ]
  for (const [overrides, changed] of rows)
    test(JSON.stringify(overrides), () => {
      const expected = Object.entries({ ...CONFIG, ...changed }).filter(([, value]) => value !== undefined)
      expect(applyHfOverrides(CONFIG, overrides)).toEqual(Object.fromEntries(expected) as never)
    })

  test("the config itself stays as it was", () => {
    const before = structuredClone(CONFIG)
    applyHfOverrides(CONFIG, { "rope_scaling.factor": 3, odd: null })
    expect(CONFIG).toEqual(before)
  })

  test("a key cannot lead into a number", () => {
    expect(() => applyHfOverrides(CONFIG, { "odd.key": 1 })).toThrow(ConfigError)
    expect(() => applyHfOverrides(CONFIG, { "odd.key": 1 })).toThrow("odd.key leads into odd, which is not an object")
  })
})

describe("an override counts wherever the config keeps rotary parameters", () => {
  const rope_parameters = { rope_type: "llama3", factor: 8, rope_theta: 500_000 }

  test("rope_theta", () => {
    const config = applyHfOverrides({ rope_parameters, rope_theta: 1 }, { rope_theta: 7 })
    expect(config).toEqual({ rope_parameters: { rope_type: "llama3", factor: 8 }, rope_theta: 7 })
  })

  test("rope_scaling takes the place of the other section's scaling, not of its theta", () => {
    const config = applyHfOverrides({ rope_parameters }, { rope_scaling: { rope_type: "yarn", factor: 2 } })
    expect(config).toEqual({
      rope_parameters: { rope_theta: 500_000 }, rope_scaling: { rope_type: "yarn", factor: 2 },
    })
    expect(applyHfOverrides({ rope_parameters }, { rope_scaling: null })).toEqual({
      rope_parameters: { rope_theta: 500_000 },
    })
  })

  test("both sections, in any order", () => {
    const overrides = { rope_scaling: { type: "linear", factor: 2 }, rope_parameters: null }
    const expected = { rope_scaling: { type: "linear", factor: 2 } }
    expect(applyHfOverrides({ rope_parameters }, overrides)).toEqual(expected as never)
    const reversed = Object.fromEntries(Object.entries(overrides).reverse())
    expect(applyHfOverrides({ rope_parameters }, reversed)).toEqual(expected as never)
  })

  test("rope_parameters", () => {
    const rope_scaling = { type: "linear", factor: 2 }
    const config = applyHfOverrides({ rope_scaling }, { rope_parameters: { rope_type: "default" } })
    expect(config).toEqual({ rope_scaling: {}, rope_parameters: { rope_type: "default" } })
  })
})
