import { describe, expect, test } from "bun:test"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { ConfigError } from "../../../src/base/errors.ts"
import { openSafetensors } from "../../../src/model/load/safetensors.ts"
import { fileReader, safetensorsFile, TempDir } from "./files.ts"

const F32_PAIR = { dtype: "F32", shape: [2], data_offsets: [0, 8] }

function openFiles(files: Readonly<Record<string, Uint8Array | string>>) {
  using dir = new TempDir()
  for (const [name, content] of Object.entries(files)) writeFileSync(join(dir.path, name), content)
  const { mapFile, mapped } = fileReader()
  return { checkpoint: openSafetensors(dir.path, mapFile), mapped }
}

function open(header: unknown, dataBytes: number) {
  return openFiles({ "model.safetensors": safetensorsFile(header, new Uint8Array(dataBytes)) })
}

test("tensors are found by name, where they lie in the file", () => {
  const header = {
    __metadata__: { format: "pt" },
    b: { dtype: "BF16", shape: [2, 3], data_offsets: [8, 20] },
    a: F32_PAIR,
    scalar: { dtype: "F16", shape: [], data_offsets: [20, 22] },
    empty: { dtype: "F32", shape: [0, 4], data_offsets: [22, 22] },
  }
  const { checkpoint, mapped } = open(header, 22)
  const file = mapped[0]!
  const dataStart = file.size - 22
  expect(checkpoint.names()).toEqual(["b", "a", "scalar", "empty"])
  expect(checkpoint.totalBytes).toBe(22)
  expect(checkpoint.get("nothing")).toBeNull()
  expect(checkpoint.get("b")).toMatchObject({
    dtype: "BF16",
    shape: [2, 3],
    bytes: 12,
    address: file.address + dataStart + 8,
  })
  expect(checkpoint.get("scalar")).toMatchObject({ dtype: "F16", shape: [], bytes: 2 })
  checkpoint.get("b")!.release()
  checkpoint.get("empty")!.release()
  expect(file.released).toEqual([[dataStart + 8, 12]])
  const kept = checkpoint.get("a")!
  checkpoint.close()
  checkpoint.close()
  expect(file.isMapped).toBe(false)
  kept.release()
  expect(file.released).toHaveLength(1)
  expect(() => checkpoint.get("a")).toThrow("closed")
})

test("a type that no kernel reads is an error once the tensor is asked for", () => {
  const { checkpoint } = open(
    { scale: { dtype: "F8_E5M2", shape: [4], data_offsets: [0, 4] }, a: { ...F32_PAIR, data_offsets: [4, 12] } },
    12,
  )
  expect(checkpoint.get("a")!.bytes).toBe(8)
  expect(() => checkpoint.get("scale")).toThrow(/tensor scale has type F8_E5M2/)
})

describe("a malformed file is an error that says what is wrong", () => {
  const rows: [name: string, header: unknown, dataBytes: number, message: RegExp][] = [
    ["data cut short", { a: F32_PAIR }, 7, /is truncated: tensor a ends at byte 8 of the data, which has 7 bytes/],
    ["data too long", { a: F32_PAIR }, 9, /1 unused bytes after the last tensor/],
    ["gap", { a: { ...F32_PAIR, data_offsets: [4, 12] } }, 12, /4 unused bytes before tensor a/],
    ["overlap", { a: F32_PAIR, b: { ...F32_PAIR, data_offsets: [4, 12] } }, 12, /tensor b overlaps/],
    ["size against shape", { a: { ...F32_PAIR, shape: [3] } }, 8, /tensor a has 8 bytes; F32 \[3\] needs 12/],
    ["size overflows", { a: { ...F32_PAIR, shape: [2 ** 40, 2 ** 40, 2 ** 40] } }, 8, /tensor a has 8 bytes/],
    ["backwards", { a: { ...F32_PAIR, data_offsets: [8, 0] } }, 8, /run backwards/],
    [
      "negative offset",
      { a: { ...F32_PAIR, data_offsets: [-8, 0] } },
      8,
      /data_offsets that are not two byte positions/,
    ],
    ["fractional dimension", { a: { ...F32_PAIR, shape: [0.5, 4] } }, 8, /a shape that is not a list/],
    ["too many dimensions", { a: { ...F32_PAIR, shape: [1, 1, 1, 1, 1, 1, 1, 1, 2] } }, 8, /at most 8 sizes/],
    ["no dtype", { a: { shape: [2], data_offsets: [0, 8] } }, 8, /tensor a has no dtype/],
    ["long name", { ["n".repeat(1025)]: F32_PAIR }, 8, /a name of 1025 characters; the limit is 1024/],
    ["entry is no object", { a: 1 }, 0, /entry a is not an object/],
    ["list", "[]", 0, /not a JSON object/],
    ["not JSON", "{\"a\":", 0, /not valid JSON/],
    ["same name twice", `{"a":${JSON.stringify(F32_PAIR)},"a":${JSON.stringify(F32_PAIR)}}`, 8, /the same name twice/],
    [
      "same field twice",
      '{"a":{"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]}}',
      8,
      /the same name twice/,
    ],
    ["deep nesting", `{"a":${"[".repeat(100_000)}`, 0, /nested deeper than 3/],
  ]
  for (const [name, header, dataBytes, message] of rows)
    test(name, () => {
      expect(() => open(header, dataBytes)).toThrow(ConfigError)
      expect(() => open(header, dataBytes)).toThrow(message)
    })

  test("not UTF-8", () => {
    const file = safetensorsFile({ a: F32_PAIR }, new Uint8Array(8))
    file[8 + 2] = 0xff
    expect(() => openFiles({ "model.safetensors": file })).toThrow(/not valid JSON/)
  })

  test("a brace inside a name is no nesting", () => {
    expect(open({ '{"[[[[:': F32_PAIR }, 8).checkpoint.names()).toEqual(['{"[[[[:'])
  })

  test("header length", () => {
    const withLength = (length: bigint): Uint8Array => {
      const file = safetensorsFile({ a: F32_PAIR }, new Uint8Array(8))
      new DataView(file.buffer).setBigUint64(0, length, true)
      return file
    }
    const cases: [Uint8Array, RegExp][] = [
      [withLength(100_000_001n), /header of 100000001 bytes; the limit is 100000000/],
      [withLength(2n ** 64n - 1n), /not a safetensors file/],
      [withLength(10_000n), /truncated: its header ends at byte 10008/],
      [withLength(0n), /not a JSON object/],
      [new Uint8Array(7), /7 bytes cannot hold/],
      [new Uint8Array(), /0 bytes cannot hold/],
    ]
    for (const [file, message] of cases) expect(() => openFiles({ "model.safetensors": file })).toThrow(message)
  })
})

describe("shards", () => {
  const first = safetensorsFile({ a: F32_PAIR }, new Uint8Array(8))
  const twoTensors = (name: string) =>
    safetensorsFile({ a: F32_PAIR, [name]: { ...F32_PAIR, data_offsets: [8, 16] } }, new Uint8Array(16))
  const second = safetensorsFile({ b: F32_PAIR, c: { ...F32_PAIR, data_offsets: [8, 16] } }, new Uint8Array(16))
  const index = (map: Record<string, unknown>): string => JSON.stringify({ metadata: {}, weight_map: map })
  const whole = { a: "one.safetensors", b: "two.safetensors", c: "two.safetensors" }

  test("are one checkpoint", () => {
    const { checkpoint, mapped } = openFiles({
      "model.safetensors.index.json": index(whole), "one.safetensors": first, "two.safetensors": second,
    })
    expect(checkpoint.names()).toEqual(["a", "b", "c"])
    expect(checkpoint.totalBytes).toBe(24)
    expect(checkpoint.get("c")!.address).toBe(mapped[1]!.address + mapped[1]!.size - 8)
    checkpoint.close()
    expect(mapped.map((file) => file.isMapped)).toEqual([false, false])
  })

  const broken: [name: string, files: Record<string, Uint8Array | string>, message: RegExp][] = [
    [
      "missing shard",
      { "model.safetensors.index.json": index(whole), "one.safetensors": first },
      /two\.safetensors is missing; it holds tensor b and 1 more/,
    ],
    [
      "tensor not in its shard",
      {
        "model.safetensors.index.json": index({ ...whole, d: "one.safetensors" }),
        "one.safetensors": first,
        "two.safetensors": second,
      },
      /one\.safetensors lacks tensor d/,
    ],
    [
      "tensor in two shards, and not in the index",
      {
        "model.safetensors.index.json": index({ b: "one.safetensors", x: "two.safetensors" }),
        "one.safetensors": twoTensors("b"),
        "two.safetensors": twoTensors("x"),
      },
      /tensor a is stored twice/,
    ],
    ["no weight_map", { "model.safetensors.index.json": "{}" }, /no weight_map/],
    ["empty weight_map", { "model.safetensors.index.json": index({}) }, /weight_map is empty/],
    ["index is not JSON", { "model.safetensors.index.json": "{" }, /cannot be read as JSON/],
    ["no file at all", {}, /model\.safetensors is missing/],
  ]
  test("a tensor in two shards is the one that the index names", () => {
    for (const home of ["one.safetensors", "two.safetensors"]) {
      const { checkpoint, mapped } = openFiles({
        "model.safetensors.index.json": index({ a: home, b: "one.safetensors", x: "two.safetensors" }),
        "one.safetensors": twoTensors("b"),
        "two.safetensors": twoTensors("x"),
      })
      // Files are mapped in the order in which the index names them.
      const file = mapped[0]!
      const { address } = checkpoint.get("a")!
      expect(address).toBeGreaterThan(file.address)
      expect(address).toBeLessThan(file.address + file.size)
      expect(checkpoint.names().filter((name) => name === "a")).toEqual(["a"])
    }
  })

  for (const [name, files, message] of broken) test(name, () => expect(() => openFiles(files)).toThrow(message))

  for (const path of [
    "../one.safetensors",
    "/etc/one.safetensors",
    "sub/one.safetensors",
    "..\\one.safetensors",
    "one.bin",
    7,
    "",
  ])
    test(`a shard called ${JSON.stringify(path)} is refused`, () => {
      expect(() => openFiles({ "model.safetensors.index.json": index({ a: path }) })).toThrow(
        /no safetensors file name/,
      )
    })

  test("a bad shard leaves nothing mapped", () => {
    using dir = new TempDir()
    writeFileSync(join(dir.path, "model.safetensors.index.json"), index(whole))
    writeFileSync(join(dir.path, "one.safetensors"), first)
    writeFileSync(join(dir.path, "two.safetensors"), second.subarray(0, 30))
    const { mapFile, mapped } = fileReader()
    expect(() => openSafetensors(dir.path, mapFile)).toThrow(ConfigError)
    expect(mapped.map((file) => file.isMapped)).toEqual([false, false])
  })
})
