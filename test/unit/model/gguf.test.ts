import { describe, expect, test } from "bun:test"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { ConfigError } from "../../../src/base/errors.ts"
import { parseGguf } from "../../../src/model/load/gguf-header.ts"
import { openGguf } from "../../../src/model/load/gguf.ts"
import {
  fileReader,
  ggufFile,
  MemoryFile,
  TempDir,
  TINY_LLAMA,
  tinyLlama,
  type GgufSpec,
  type GgufValue,
} from "./files.ts"

function parse(spec: GgufSpec) {
  const file = ggufFile(spec)
  return parseGguf(file, file.length, "m.gguf")
}

function openBytes(bytes: Uint8Array) {
  const file = new MemoryFile(bytes)
  return { source: openGguf("m.gguf", () => file), file }
}

function tensor(over: Partial<NonNullable<GgufSpec["tensors"]>[number]>): GgufSpec {
  return { tensors: [{ name: "t", dims: [32], type: 0, offset: 0, ...over }], data: new Uint8Array(128) }
}

test("a header longer than what is read of a file at first", () => {
  const small = tinyLlama()
  const key = "padding.text"
  const text = 20 * 2 ** 20
  const entry = Buffer.alloc(8 + key.length + 4 + 8 + text, "x") // a multiple of the alignment
  entry.writeBigUInt64LE(BigInt(key.length))
  entry.write(key, 8)
  entry.writeUInt32LE(8, 8 + key.length)
  entry.writeBigUInt64LE(BigInt(text), 12 + key.length)
  const large = Buffer.concat([small.subarray(0, 24), entry, small.subarray(24)])
  large.writeBigUInt64LE(large.readBigUInt64LE(16) + 1n, 16)
  const { source, file } = openBytes(large)
  expect(source.ggufMetadata!.get(key)).toHaveLength(text)
  const offsetIn = (of: ReturnType<typeof openBytes>) =>
    of.source.checkpoint.get("model.embed_tokens.weight")!.address - of.file.address
  expect(offsetIn({ source, file })).toBe(offsetIn(openBytes(small)) + entry.length)
  expect(() => openBytes(large.subarray(0, 24 + entry.length))).toThrow(/m\.gguf is truncated/)
})

test("metadata values of every type", () => {
  const list: GgufValue = { type: "array", of: 4, items: [{ type: "u32", value: 1 }, { type: "u32", value: 2 }] }
  const { metadata, version } = parse({
    version: 2,
    metadata: [
      ["u8", { type: "u8", value: 200 }],
      ["i32", { type: "i32", value: -3 }],
      ["f32", { type: "f32", value: 0.5 }],
      ["bool", { type: "bool", value: true }],
      ["exact", { type: "u64", value: 2n ** 53n - 1n }],
      ["large", { type: "u64", value: 2n ** 63n }],
      ["negative", { type: "i64", value: -5n }],
      ["text", { type: "string", value: "ü\0" }],
      ["list", list],
      [
        "lists",
        { type: "array", of: 9, items: [list, { type: "array", of: 8, items: [{ type: "string", value: "x" }] }] },
      ],
      ["none", { type: "array", of: 8, items: [] }],
      ["flags", { type: "array", of: 7, items: [{ type: "bool", value: false }] }],
    ],
  })
  expect(version).toBe(2)
  expect(Object.fromEntries(metadata)).toEqual({
    u8: 200, i32: -3, f32: 0.5, bool: true, exact: 2 ** 53 - 1, large: 2n ** 63n, negative: -5, text: "ü\0",
    list: [1, 2], lists: [[1, 2], ["x"]], none: [], flags: [false],
  })
})

test("arrays are decoded once, and outlive the file", () => {
  const file = tinyLlama()
  const { metadata } = parseGguf(file, file.length, "m.gguf")
  file.fill(0xff)
  const tokens = metadata.get("tokenizer.ggml.tokens")
  expect(tokens).toEqual(["a", "ü", "", "<s>"])
  expect(metadata.get("tokenizer.ggml.tokens")).toBe(tokens)
  expect([...metadata.values()].filter(Array.isArray)).toEqual([tokens as string[]])
  const seen: unknown[] = []
  metadata.forEach((value) => seen.push(value))
  expect(seen).toContain(tokens)
})

test("tensors have the names, shapes and places of a Hugging Face checkpoint", () => {
  const { source, file } = openBytes(tinyLlama({
    tensors: [
      { name: "token_embd.weight", dims: [32, 8], type: 8, offset: 0 },
      { name: "blk.0.attn_q.weight", dims: [32, 4], type: 2, offset: 288 },
      { name: "blk.0.ffn_norm.weight", dims: [32], type: 0, offset: 384 },
      { name: "blk.0.mystery.weight", dims: [1], type: 0, offset: 512 },
    ],
    data: new Uint8Array(516),
  }))
  const { checkpoint } = source
  expect(checkpoint.names()).toEqual([
    "model.embed_tokens.weight", "model.layers.0.self_attn.q_proj.weight",
    "model.layers.0.post_attention_layernorm.weight", "blk.0.mystery.weight",
  ])
  const dataStart = file.size - 516
  expect(checkpoint.get("model.embed_tokens.weight")).toMatchObject({ dtype: "Q8_0", shape: [8, 32], bytes: 272 })
  expect(checkpoint.get("model.layers.0.self_attn.q_proj.weight")).toMatchObject({
    dtype: "Q4_0", shape: [4, 32], bytes: 72, address: file.address + dataStart + 288,
  })
  checkpoint.close()
  expect(file.isMapped).toBe(false)
})

test("a type that no kernel reads is an error once the tensor is asked for", () => {
  for (const [type, name] of [[16, "IQ2_XXS"], [99, "number 99"]] as const) {
    const { source } = openBytes(tinyLlama({
      tensors: [
        { name: "token_embd.weight", dims: [32, 8], type: 0, offset: 0 },
        { name: "output.weight", dims: [256], type, offset: 1024 },
      ],
      data: new Uint8Array(1024 + 66),
    }))
    expect(() => source.checkpoint.get("lm_head.weight")).toThrow(`tensor lm_head.weight has type ${name}`)
  }
})

describe("a malformed file is an error that says what is wrong", () => {
  const rows: [name: string, spec: GgufSpec, message: RegExp][] = [
    ["magic", { magic: "GGML" }, /not a GGUF file/],
    ["version 1", { version: 1 }, /version 1; versions 2 and 3/],
    ["big-endian", { version: 0x0300_0000 }, /big-endian/],
    [
      "number of tensors",
      { numTensors: 2n ** 60n },
      /the number of tensors is 1152921504606846976; the limit is 262144/,
    ],
    ["number of entries", { numEntries: 2n ** 64n - 1n }, /the number of metadata entries is 18446744073709551615/],
    ["number of entries within integers", { numEntries: 100_000n }, /100000 metadata entries; the limit is 65536/],
    ["missing tensors", { numTensors: 5n }, /truncated: the length of a tensor name/],
    ["missing entries", { numEntries: 5n }, /truncated: the length of a metadata key/],
    [
      "key twice",
      {
        metadata: [
          ["a", { type: "u8", value: 1 }],
          ["a", { type: "u8", value: 1 }],
        ],
      },
      /metadata key a occurs twice/,
    ],
    [
      "value type",
      { metadata: [["a", { type: "array", of: 13, items: [{ type: "u32", value: 0 }] }]] },
      /a has the unknown value type 13/,
    ],
    [
      "boolean of 2",
      { metadata: [["a", { type: "array", of: 7, items: [{ type: "u8", value: 2 }] }]] },
      /a boolean of value 2/,
    ],
    [
      "alignment",
      { metadata: [["general.alignment", { type: "u32", value: 48 }]] },
      /general.alignment is 48; a power of two/,
    ],
    ["alignment of zero", { metadata: [["general.alignment", { type: "u32", value: 0 }]] }, /general.alignment is 0/],
    [
      "huge alignment",
      { metadata: [["general.alignment", { type: "u32", value: 2 ** 31 }]] },
      /general.alignment is 2147483648/,
    ],
    ["no dimensions", tensor({ dims: [] }), /tensor t has 0 dimensions/],
    ["five dimensions", tensor({ dims: [1, 1, 1, 1, 1] }), /tensor t has 5 dimensions/],
    ["dimension of zero", tensor({ dims: [0, 4] }), /tensor t has a dimension of 0/],
    ["product overflows", tensor({ dims: [2 ** 20, 2 ** 20, 2 ** 20, 2 ** 20] }), /cannot be in/],
    ["product wraps to 64 bits", tensor({ dims: [2n ** 32n, 2n ** 32n] }), /cannot be in/],
    ["dimension beyond integers", tensor({ dims: [2n ** 63n] }), /a dimension of t is 9223372036854775808/],
    ["partial block", tensor({ dims: [33], type: 2 }), /rows of 33; Q4_0 stores 32 at a time/],
    ["unaligned", tensor({ offset: 4 }), /begins at 4, which is no multiple of 32/],
    ["beyond the end", tensor({ offset: 32 }), /truncated: tensor t ends at byte/],
    ["offset beyond integers", tensor({ offset: 2n ** 63n }), /the offset of t is/],
    ["long name", tensor({ name: "n".repeat(300) }), /the length of a tensor name is 300; the limit is 255/],
  ]
  for (const [name, spec, message] of rows)
    test(name, () => {
      expect(() => parse(spec)).toThrow(ConfigError)
      expect(() => parse(spec)).toThrow(message)
    })

  test("overlapping tensors", () => {
    const tensors = [{ name: "a", dims: [32], type: 0, offset: 0 }, { name: "b", dims: [32], type: 0, offset: 96 }]
    expect(() => parse({ tensors, data: new Uint8Array(224) })).toThrow(/tensor b overlaps/)
  })

  test("an array longer than the file, or than any vocabulary", () => {
    const file = ggufFile({ metadata: [["a", { type: "array", of: 8, items: [] }]] })
    const at = file.length - 8
    const withLength = (length: bigint): Uint8Array => {
      const copy = file.slice()
      new DataView(copy.buffer).setBigUint64(at, length, true)
      return copy
    }
    expect(() => parseGguf(withLength(1_000_000n), file.length, "m")).toThrow(/truncated: a string length in a/)
    expect(() => parseGguf(withLength(2n ** 40n), file.length, "m")).toThrow(
      /the length of a is 1099511627776; the limit is 8388608/,
    )
  })

  test("arrays nested too deep", () => {
    let value: GgufValue = { type: "array", of: 0, items: [] }
    for (let i = 0; i < 4; i++) value = { type: "array", of: 9, items: [value] }
    expect(() => parse({ metadata: [["a", value]] })).toThrow(/a nests arrays deeper than 4/)
  })

  test("an error unmaps the file", () => {
    const file = new MemoryFile(tinyLlama().slice(0, 200))
    expect(() => openGguf("m.gguf", () => file)).toThrow(/m\.gguf is truncated/)
    expect(file.isMapped).toBe(false)
  })
})

describe("a model in parts", () => {
  const split = (no: number, count: number): (readonly [string, GgufValue])[] => [
    ["split.no", { type: "u32", value: no }], ["split.count", { type: "u32", value: count }],
  ]
  const first = tinyLlama({ metadata: [...TINY_LLAMA, ...split(0, 2)] })
  const second = ggufFile({
    metadata: split(1, 2),
    tensors: [{ name: "output_norm.weight", dims: [32], type: 0, offset: 0 }],
    data: new Uint8Array(128),
  })

  test("is one checkpoint", () => {
    using dir = new TempDir()
    writeFileSync(join(dir.path, "m-00001-of-00002.gguf"), first)
    writeFileSync(join(dir.path, "m-00002-of-00002.gguf"), second)
    const { mapFile, mapped } = fileReader()
    const { checkpoint } = openGguf(join(dir.path, "m-00001-of-00002.gguf"), mapFile)
    expect(checkpoint.names()).toEqual(["model.embed_tokens.weight", "model.norm.weight"])
    checkpoint.close()
    expect(mapped.map((file) => file.isMapped)).toEqual([false, false])
    expect(() => openGguf(join(dir.path, "m-00002-of-00002.gguf"), mapFile)).toThrow(
      /is a later part of a model; give the one/,
    )
  })

  test("needs all its parts, under their names", () => {
    using dir = new TempDir()
    writeFileSync(join(dir.path, "m-00001-of-00002.gguf"), first)
    writeFileSync(join(dir.path, "renamed.gguf"), first)
    const { mapFile } = fileReader()
    expect(() => openGguf(join(dir.path, "m-00001-of-00002.gguf"), mapFile)).toThrow(
      /m-00002-of-00002\.gguf is missing: the model has 2 parts/,
    )
    expect(() => openGguf(join(dir.path, "renamed.gguf"), mapFile)).toThrow(/is one of 2 parts/)
  })
})
