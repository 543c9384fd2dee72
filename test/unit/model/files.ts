/** Small model files, made byte by byte, and mappings of them that need no kernel library. */
import { ptr } from "bun:ffi"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { FileMapping, MapFile } from "../../../src/model/load/checkpoint.ts"

export class TempDir {
  readonly path = mkdtempSync(join(tmpdir(), "baozi-model-"));

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true })
  }
}

/** A file in memory; counts what it is told. */
export class MemoryFile implements FileMapping {
  readonly #bytes: Uint8Array
  readonly address: number
  readonly released: [offset: number, bytes: number][] = []
  isMapped = true

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
    this.address = bytes.length === 0 ? 0 : Number(ptr(bytes))
  }

  get size(): number {
    return this.#bytes.length
  }

  bytes(offset = 0, bytes = this.size - offset): Uint8Array {
    if (offset < 0 || bytes < 0 || offset + bytes > this.size)
      throw new Error(`view [${offset}, +${bytes}) of ${this.size}`)
    return this.#bytes.subarray(offset, offset + bytes)
  }

  release(offset: number, bytes: number): void {
    this.released.push([offset, bytes])
  }

  unmap(): void {
    this.isMapped = false
  }
}

/** Reads files whole instead of mapping them; `mapped` lists them. */
export function fileReader(): { mapFile: MapFile; mapped: MemoryFile[] } {
  const mapped: MemoryFile[] = []
  const mapFile = (path: string): MemoryFile => {
    const file = new MemoryFile(new Uint8Array(readFileSync(path)))
    mapped.push(file)
    return file
  }
  return { mapFile, mapped }
}

/** Any header, right or wrong, before `data`. */
export function safetensorsFile(header: unknown, data: Uint8Array = new Uint8Array()): Uint8Array {
  const json = new TextEncoder().encode(typeof header === "string" ? header : JSON.stringify(header))
  const file = new Uint8Array(8 + json.length + data.length)
  new DataView(file.buffer).setBigUint64(0, BigInt(json.length), true)
  file.set(json, 8)
  file.set(data, 8 + json.length)
  return file
}

export type GgufValue =
  | { type: "u8" | "u32" | "i32" | "f32"; value: number }
  | { type: "u64" | "i64"; value: bigint }
  | { type: "bool"; value: boolean }
  | { type: "string"; value: string }
  | { type: "array"; of: number; items: readonly GgufValue[] }

export interface GgufTensorSpec {
  name: string
  /** As in the file: innermost first. */
  dims: readonly (number | bigint)[]
  type: number
  offset: number | bigint
}

export interface GgufSpec {
  magic?: string
  version?: number
  numTensors?: bigint
  numEntries?: bigint
  metadata?: readonly (readonly [string, GgufValue])[]
  tensors?: readonly GgufTensorSpec[]
  /** Follows the header at the next multiple of 32. */
  data?: Uint8Array
}

const TYPE_NUMBER = { u8: 0, u32: 4, i32: 5, f32: 6, bool: 7, string: 8, array: 9, u64: 10, i64: 11 } as const

/** A GGUF file, right or wrong. */
export function ggufFile(spec: GgufSpec): Uint8Array {
  const parts: number[] = []
  const number = (bytes: number, write: (view: DataView) => void): void => {
    const view = new DataView(new ArrayBuffer(bytes))
    write(view)
    parts.push(...new Uint8Array(view.buffer))
  }
  const u32 = (value: number): void => number(4, (view) => view.setUint32(0, value, true))
  const u64 = (value: number | bigint): void => number(8, (view) => view.setBigUint64(0, BigInt(value), true))
  const string = (value: string): void => {
    const bytes = new TextEncoder().encode(value)
    u64(bytes.length)
    parts.push(...bytes)
  }
  const payload = (item: GgufValue): void => {
    switch (item.type) {
      case "u8": return void parts.push(item.value)
      case "bool": return void parts.push(item.value ? 1 : 0)
      case "u32": return u32(item.value)
      case "i32": return number(4, (view) => view.setInt32(0, item.value, true))
      case "f32": return number(4, (view) => view.setFloat32(0, item.value, true))
      case "u64": return u64(item.value)
      case "i64": return number(8, (view) => view.setBigInt64(0, item.value, true))
      case "string": return string(item.value)
      case "array":
        u32(item.of)
        u64(item.items.length)
        item.items.forEach(payload)
    }
  }
  const { metadata = [], tensors = [] } = spec
  parts.push(...new TextEncoder().encode(spec.magic ?? "GGUF"))
  u32(spec.version ?? 3)
  u64(spec.numTensors ?? tensors.length)
  u64(spec.numEntries ?? metadata.length)
  for (const [key, value] of metadata) {
    string(key)
    u32(TYPE_NUMBER[value.type])
    payload(value)
  }
  for (const { name, dims, type, offset } of tensors) {
    string(name)
    u32(dims.length)
    dims.forEach(u64)
    u32(type)
    u64(offset)
  }
  while (spec.data !== undefined && parts.length % 32 !== 0) parts.push(0)
  return Uint8Array.from([...parts, ...(spec.data ?? [])])
}

/** Metadata of a llama of one layer: E 32, F 64, 2 heads of 16, V 8. */
export const TINY_LLAMA: readonly (readonly [string, GgufValue])[] = [
  ["general.architecture", { type: "string", value: "llama" }],
  ["llama.context_length", { type: "u32", value: 128 }],
  ["llama.embedding_length", { type: "u32", value: 32 }],
  ["llama.block_count", { type: "u32", value: 1 }],
  ["llama.feed_forward_length", { type: "u32", value: 64 }],
  ["llama.attention.head_count", { type: "u32", value: 2 }],
  ["llama.attention.layer_norm_rms_epsilon", { type: "f32", value: 1e-5 }],
  [
    "tokenizer.ggml.tokens",
    { type: "array", of: 8, items: ["a", "ü", "", "<s>"].map((value) => ({ type: "string", value })) },
  ],
  ["tokenizer.ggml.eos_token_id", { type: "u32", value: 3 }],
]

/** The embedding alone: F32 [8, 32]. */
export function tinyLlama(spec: GgufSpec = {}): Uint8Array {
  return ggufFile({
    metadata: TINY_LLAMA,
    tensors: [{ name: "token_embd.weight", dims: [32, 8], type: 0, offset: 0 }],
    data: new Uint8Array(32 * 8 * 4),
    ...spec,
  })
}
