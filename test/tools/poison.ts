/** Models with one weight that is not a number, made of a fixture. */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

interface Entry {
  readonly dtype: "F32" | "BF16"
  readonly shape: readonly number[]
  readonly data_offsets: readonly [number, number]
}

export interface Poison {
  readonly tensor: string
  /** Row and column; of a vector the row is 0. */
  readonly at: readonly [row: number, column: number]
  readonly value: number
}

/** A copy of the model in `dir` with one value replaced; it is removed when disposed of. */
export function poisonedModel(dir: string, poison: Poison): Disposable & { path: string } {
  const { tensor, at: [row, column], value } = poison
  const path = mkdtempSync(join(tmpdir(), "baozi-poisoned-"))
  cpSync(dir, path, { recursive: true })
  const file = join(path, "model.safetensors")
  const bytes = readFileSync(dir + "/model.safetensors")
  const headerBytes = Number(bytes.readBigUInt64LE(0))
  const header = JSON.parse(bytes.toString("utf8", 8, 8 + headerBytes)) as Record<string, Entry>
  const { dtype, shape, data_offsets: [begin] } = header[tensor]!
  const index = row * shape.at(-1)! + column
  const start = 8 + headerBytes + begin
  if (dtype === "F32") bytes.writeFloatLE(value, start + index * 4)
  else bytes.writeUInt16LE(new Uint32Array(Float32Array.of(value).buffer)[0]! >>> 16, start + index * 2)
  rmSync(file)
  writeFileSync(file, bytes)
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true }) }
}
