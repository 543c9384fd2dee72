/** Falcon-H1's constants: weights divided by what the config multiplies again are the same model. */
import { expect, test } from "bun:test"
import { mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { readGolden, TestEngine } from "../engine-harness.ts"
import { fixture } from "../fixtures.ts"
import { TempDir } from "../unit/model/files.ts"

const dir = fixture("models/falcon-h1")

// Powers of two, so that not a bit differs.
const MULTIPLIERS = {
  embedding_multiplier: 2, lm_head_multiplier: 0.5, key_multiplier: 4, attention_in_multiplier: 2,
  attention_out_multiplier: 0.5, ssm_in_multiplier: 0.5, ssm_out_multiplier: 0.25, mlp_multipliers: [2, 4],
  ssm_multipliers: [2, 4, 0.5, 0.25, 8],
}
const c = MULTIPLIERS

/** Rows of the projection into a state: gate, x, B, C, steps. */
const SEGMENTS = [64, 64, 16, 16, 4]

/** What a tensor's row was divided by. */
function divisor(name: string, row: number): number {
  if (name.endsWith("embed_tokens.weight")) return c.embedding_multiplier
  if (name === "lm_head.weight") return c.lm_head_multiplier
  if (name.endsWith("k_proj.weight")) return c.attention_in_multiplier * c.key_multiplier
  if (/[qv]_proj.weight$/.test(name)) return c.attention_in_multiplier
  if (name.endsWith("o_proj.weight")) return c.attention_out_multiplier
  if (name.endsWith("mamba.out_proj.weight")) return c.ssm_out_multiplier
  if (name.endsWith("gate_proj.weight")) return c.mlp_multipliers[0]!
  if (name.endsWith("down_proj.weight")) return c.mlp_multipliers[1]!
  if (!name.endsWith("mamba.in_proj.weight")) return 1
  let [segment, end] = [0, SEGMENTS[0]!]
  while (row >= end) end += SEGMENTS[++segment]!
  return c.ssm_in_multiplier * c.ssm_multipliers[segment]!
}

/** Divides bfloat16 values by a power of two. */
function divide(values: Uint16Array, by: number): void {
  const wide = new Uint32Array(1)
  const float = new Float32Array(wide.buffer)
  for (let i = 0; i < values.length; i++) {
    wide[0] = values[i]! << 16
    float[0] = float[0]! / by
    values[i] = wide[0] >>> 16
  }
}

function writeDivided(from: string, to: string): void {
  mkdirSync(to)
  const file = new Uint8Array(readFileSync(join(from, "model.safetensors")))
  const start = 8 + Number(new DataView(file.buffer).getBigUint64(0, true))
  const header = JSON.parse(new TextDecoder().decode(file.subarray(8, start))) as
    Record<string, { dtype: string; shape: number[]; data_offsets: [number, number] }>
  for (const [name, tensor] of Object.entries(header)) {
    if (name === "__metadata__") continue
    expect(tensor.dtype).toBe("BF16")
    const [first, end] = tensor.data_offsets
    const values = new Uint16Array(file.slice(start + first, start + end).buffer)
    const rowLength = values.length / tensor.shape[0]!
    for (let row = 0; row < tensor.shape[0]!; row++)
      divide(values.subarray(row * rowLength, (row + 1) * rowLength), divisor(name, row))
    file.set(new Uint8Array(values.buffer), start + first)
  }
  writeFileSync(join(to, "model.safetensors"), file)
  const config = JSON.parse(readFileSync(join(from, "config.json"), "utf8")) as object
  writeFileSync(join(to, "config.json"), JSON.stringify({ ...config, ...MULTIPLIERS }))
}

test.skipIf(dir === null)("constants that undo what was done to the weights change nothing", async () => {
  using temp = new TempDir()
  const divided = join(temp.path, "divided")
  writeDivided(dir!, divided)
  const { prompts } = await readGolden(dir!)
  const [plain, scaled] = [dir!, divided].map((path) => {
    const engine = new TestEngine(path)
    try {
      return engine.generate(prompts, { maxTokens: 12, logprobs: 8 })
    } finally {
      engine.dispose()
    }
  })
  expect(scaled!.map(({ tokenIds, logprobs }) => ({ tokenIds, logprobs })))
    .toEqual(plain!.map(({ tokenIds, logprobs }) => ({ tokenIds, logprobs })))
})
