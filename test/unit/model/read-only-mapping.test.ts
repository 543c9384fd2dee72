import { expect, test } from "bun:test"
import { closeSync, ftruncateSync, openSync, readdirSync, writeFileSync, writeSync } from "node:fs"
import { join } from "node:path"
import { openModel } from "../../../src/model/load/open.ts"
import { readOnlyMapping } from "../../../src/model/load/read-only-mapping.ts"
import { safetensorsFile, TempDir, tinyLlama } from "./files.ts"

test("views are the file's bytes, wherever they begin", () => {
  using dir = new TempDir()
  const path = join(dir.path, "f")
  const content = Uint8Array.from({ length: 200_000 }, (_, i) => i % 251)
  writeFileSync(path, content)
  const file = readOnlyMapping(path)
  expect(file.size).toBe(content.length)
  const ranges = [[0, 8], [8, 100], [65_535, 3], [65_536, 1], [131_072, 68_928], [199_999, 1], [5, 0]] as const
  for (const [offset, count] of ranges)
    expect(file.bytes(offset, count)).toEqual(content.subarray(offset, offset + count))
  expect(file.bytes()).toEqual(content)
})

test("a missing and an empty file", () => {
  using dir = new TempDir()
  const path = join(dir.path, "f")
  expect(() => readOnlyMapping(path)).toThrow(/f does not exist/)
  writeFileSync(path, "")
  expect(readOnlyMapping(path).bytes()).toHaveLength(0)
})

test("what is no file is refused, a pipe without waiting for a writer", () => {
  using dir = new TempDir()
  const pipe = join(dir.path, "pipe")
  expect(Bun.spawnSync(["mkfifo", pipe]).exitCode).toBe(0)
  expect(() => readOnlyMapping(pipe)).toThrow(/cannot read .*pipe: not a file/)
  expect(() => readOnlyMapping(dir.path)).toThrow(/cannot read .*: not a file/)
})

test("a file that is cut while it is read", () => {
  using dir = new TempDir()
  const path = join(dir.path, "f")
  writeFileSync(path, new Uint8Array(100))
  const file = readOnlyMapping(path)
  writeFileSync(path, new Uint8Array(60))
  expect(() => file.bytes(50, 50)).toThrow(/f ends at byte 60: it was cut while it was read/)
})

test("a file is closed once, and views stay", () => {
  using dir = new TempDir()
  const path = join(dir.path, "f")
  writeFileSync(path, Uint8Array.of(1, 2, 3))
  const numOpen = () => readdirSync("/proc/self/fd").length
  const before = numOpen()
  const file = readOnlyMapping(path)
  const view = file.bytes(1, 2)
  file.unmap()
  file.unmap()
  expect(numOpen()).toBe(before)
  expect(view).toEqual(Uint8Array.of(2, 3))
})

test("the header of a file above 4 GiB is read", () => {
  using dir = new TempDir()
  const dataBytes = 5 * 2 ** 30
  const header = safetensorsFile({ w: { dtype: "F32", shape: [dataBytes / 4], data_offsets: [0, dataBytes] } })
  writeFileSync(join(dir.path, "config.json"), "{}")
  // A hole, which takes no room on the disk.
  const descriptor = openSync(join(dir.path, "model.safetensors"), "w")
  writeSync(descriptor, header)
  ftruncateSync(descriptor, header.length + dataBytes)
  closeSync(descriptor)
  expect(openModel(dir.path, readOnlyMapping).checkpoint.totalBytes).toBe(dataBytes)
})

test("a GGUF file's metadata outlives the mapping", () => {
  using dir = new TempDir()
  const path = join(dir.path, "m.gguf")
  writeFileSync(path, tinyLlama())
  const source = openModel(path, readOnlyMapping)
  source.checkpoint.close()
  Bun.gc(true)
  expect(source.ggufMetadata!.get("tokenizer.ggml.tokens")).toEqual(["a", "ü", "", "<s>"])
})
