/** Mixtures of experts from GGUF files, made here of the fixtures as converters make them: the reference's tokens. */
import { describe, expect, test } from "bun:test"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fixture } from "../fixtures.ts"
import { readGolden, TestEngine } from "../engine-harness.ts"
import { ggufFile, TempDir, type GgufTensorSpec, type GgufValue } from "../unit/model/files.ts"

interface Tensor {
  readonly shape: readonly number[]
  readonly bytes: Uint8Array
}

/** All of the fixture's tensors, which are bfloat16. */
function readTensors(dir: string): Map<string, Tensor> {
  const file = readFileSync(join(dir, "model.safetensors"))
  const headerBytes = Number(file.readBigUInt64LE(0))
  const header = JSON.parse(file.toString("utf8", 8, 8 + headerBytes)) as Record<
    string, { dtype: string; shape: number[]; data_offsets: [number, number] }
  >
  return new Map(Object.entries(header).filter(([name]) => name !== "__metadata__").map(([name, entry]) => {
    const [begin, end] = entry.data_offsets
    return [name, { shape: entry.shape, bytes: file.subarray(8 + headerBytes + begin, 8 + headerBytes + end) }]
  }))
}

/** Rows of heads in halves to rows in pairs, as converters order Llama's q and k. */
function pairRows({ shape, bytes }: Tensor, numHeads: number): Tensor {
  const [rows, rowBytes] = [shape[0]!, bytes.length / shape[0]!]
  const headDim = rows / numHeads
  const out = new Uint8Array(bytes.length)
  for (let row = 0; row < rows; row++) {
    const [head, i] = [Math.floor(row / headDim), row % headDim]
    const from = head * headDim + (i % 2) * (headDim / 2) + Math.floor(i / 2)
    out.set(bytes.subarray(from * rowBytes, (from + 1) * rowBytes), row * rowBytes)
  }
  return { shape, bytes: out }
}

/** GGUF's names by what follows `model.layers.N.`; of experts the part behind their number. */
const LAYER: Readonly<Record<string, string>> = {
  "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm", "self_attn.q_proj": "attn_q",
  "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
  "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm", "mlp.gate": "ffn_gate_inp",
  "block_sparse_moe.gate": "ffn_gate_inp", "mlp.shared_expert_gate": "ffn_gate_inp_shexp",
  "mlp.shared_expert.gate_proj": "ffn_gate_shexp", "mlp.shared_expert.up_proj": "ffn_up_shexp",
  "mlp.shared_expert.down_proj": "ffn_down_shexp",
}
const EXPERT: Readonly<Record<string, string>> = {
  gate_proj: "ffn_gate_exps", up_proj: "ffn_up_exps", down_proj: "ffn_down_exps", w1: "ffn_gate_exps",
  w3: "ffn_up_exps", w2: "ffn_down_exps",
}
const TOP: Readonly<Record<string, string>> = {
  "model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight",
  "lm_head.weight": "output.weight",
}

function convert(
  tensors: Map<string, Tensor>, numExperts: number, paired: Record<string, number>,
): Map<string, Tensor> {
  const out = new Map<string, Tensor>()
  for (const [name, tensor] of tensors) {
    const expert = /^model\.layers\.(\d+)\..*\.experts\.(\d+)\.(\w+)\.weight$/.exec(name)
    const module = /^model\.layers\.(\d+)\.(.+)\.(weight|bias)$/.exec(name)
    if (TOP[name] !== undefined) out.set(TOP[name], tensor)
    else if (expert !== null) {
      const stack = `blk.${expert[1]!}.${EXPERT[expert[3]!]!}.weight`
      const all = out.get(stack) ?? {
        shape: [numExperts, ...tensor.shape], bytes: new Uint8Array(numExperts * tensor.bytes.length),
      }
      all.bytes.set(tensor.bytes, Number(expert[2]) * tensor.bytes.length)
      out.set(stack, all)
    } else {
      const part = LAYER[module![2]!]!
      const ordered = paired[part] === undefined ? tensor : pairRows(tensor, paired[part])
      const shape = part === "ffn_gate_inp_shexp" ? ordered.shape.slice(1) : ordered.shape
      out.set(`blk.${module![1]!}.${part}.${module![3]!}`, { ...ordered, shape })
    }
  }
  return out
}

const BF16 = 30
const ALIGNMENT = 32

function writeGguf(path: string, metadata: readonly [string, GgufValue][], tensors: Map<string, Tensor>): void {
  const specs: GgufTensorSpec[] = []
  const parts: Uint8Array[] = []
  let end = 0
  for (const [name, { shape, bytes }] of tensors) {
    specs.push({ name, dims: shape.toReversed(), type: BF16, offset: end })
    const padded = new Uint8Array(Math.ceil(bytes.length / ALIGNMENT) * ALIGNMENT)
    padded.set(bytes)
    parts.push(padded)
    end += padded.length
  }
  writeFileSync(path, Buffer.concat([ggufFile({ metadata, tensors: specs, data: new Uint8Array() }), ...parts]))
}

interface Config {
  readonly [key: string]: unknown
  readonly num_attention_heads: number
  readonly num_key_value_heads: number
  readonly rope_parameters: { readonly rope_theta: number }
}

function metadataOf(arch: string, c: Config): [string, GgufValue][] {
  const number = (key: string): number | undefined => c[key] as number | undefined
  const integers: Record<string, number | undefined> = {
    context_length: number("max_position_embeddings"), embedding_length: number("hidden_size"),
    block_count: number("num_hidden_layers"), feed_forward_length: number("intermediate_size"),
    "attention.head_count": c.num_attention_heads, "attention.head_count_kv": c.num_key_value_heads,
    "attention.key_length": number("head_dim") ?? undefined, "attention.value_length": number("head_dim") ?? undefined,
    vocab_size: number("vocab_size"), expert_count: number("num_experts") ?? number("num_local_experts"),
    expert_used_count: number("num_experts_per_tok"), expert_feed_forward_length: number("moe_intermediate_size"),
    expert_shared_feed_forward_length: number("shared_expert_intermediate_size"),
  }
  const floats: Record<string, number> = {
    "attention.layer_norm_rms_epsilon": number("rms_norm_eps")!, "rope.freq_base": c.rope_parameters.rope_theta,
  }
  return [
    ["general.architecture", { type: "string", value: arch }],
    ...Object.entries(integers).filter(([, value]) => value !== undefined)
      .map(([key, value]): [string, GgufValue] => [`${arch}.${key}`, { type: "u32", value: value! }]),
    ...Object.entries(floats).map(([key, value]): [string, GgufValue] => [`${arch}.${key}`, { type: "f32", value }]),
  ]
}

describe.each([
  ["mixtral", "llama"], ["qwen2-moe", "qwen2moe"], ["olmoe", "olmoe"],
])("%s as %s", (name, arch) => {
  const dir = fixture(`models/${name}`)

  test.skipIf(dir === null)("gives the reference's tokens", async () => {
    using temp = new TempDir()
    const config = JSON.parse(readFileSync(join(dir!, "config.json"), "utf8")) as Config
    const numExperts = (config["num_experts"] ?? config["num_local_experts"]) as number
    const paired: Record<string, number> = arch === "llama"
      ? { attn_q: config.num_attention_heads, attn_k: config.num_key_value_heads }
      : {}
    const path = join(temp.path, "model.gguf")
    writeGguf(path, metadataOf(arch, config), convert(readTensors(dir!), numExperts, paired))
    const golden = await readGolden(dir!)
    const engine = new TestEngine(path)
    try {
      const generated = engine.generate(golden.prompts, { maxTokens: golden.greedy[0]!.length })
      expect(generated.map(({ tokenIds }) => tokenIds)).toEqual(golden.greedy.map((ids) => [...ids]))
    } finally {
      engine.dispose()
    }
  })
})

const QWEN3 = fixture("models/qwen3-moe")

// The fixture does not normalize the weights of chosen experts; the architecture's files mean that they are.
test.skipIf(QWEN3 === null)("qwen3-moe as qwen3moe is read as the directory with norm_topk_prob", async () => {
  using temp = new TempDir()
  const config = JSON.parse(readFileSync(join(QWEN3!, "config.json"), "utf8")) as Config
  const path = join(temp.path, "model.gguf")
  writeGguf(path, metadataOf("qwen3moe", config), convert(readTensors(QWEN3!), 8, {}))
  const golden = await readGolden(QWEN3!)
  const tokensOf = (engine: TestEngine): number[][] => {
    try {
      return engine.generate(golden.prompts, { maxTokens: 20 }).map(({ tokenIds }) => tokenIds)
    } finally {
      engine.dispose()
    }
  }
  const normalized = tokensOf(new TestEngine(QWEN3!, { hfOverrides: { norm_topk_prob: true } }))
  expect(tokensOf(new TestEngine(path))).toEqual(normalized)
  expect(normalized).not.toEqual(golden.greedy.map((ids) => ids.slice(0, 20)))
})
