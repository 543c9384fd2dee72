import { afterAll, expect, test } from "bun:test"
import { copyFileSync, mkdtempSync, readdirSync, rmSync, truncateSync, chmodSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { loadModel } from "../../src/exec/load-model.ts"
import { engineConfig, modelPathOf } from "../engine-harness.ts"
import { fixture } from "../fixtures.ts"

const directories: string[] = []
afterAll(() => directories.forEach((path) => rmSync(path, { recursive: true })))

function copyOf(source: string): string {
  const path = mkdtempSync(join(tmpdir(), "baozi-shrinking-"))
  directories.push(path)
  for (const name of readdirSync(source)) {
    copyFileSync(join(source, name), join(path, name))
    chmodSync(join(path, name), 0o644)
  }
  return path
}

const cases = ["models/llama", "models/qwen2", "models/gguf-llama/Q8_0"]
  .flatMap((path) => fixture(path) ?? [])

test.each(cases)("weights that go away while they are read are an error: %s", (source) => {
  const dir = copyOf(source)
  const weights = readdirSync(dir).filter((name) => /\.(safetensors|gguf)$/.test(name)).map((name) => join(dir, name))
  expect(weights).toHaveLength(1)
  // The plan is made when the header has been read and the weights have not.
  const config = engineConfig(modelPathOf(dir), { maxModelLen: 64 })
  const load = () => loadModel(config, () => truncateSync(weights[0]!, 4096), [])
  expect(load).toThrow(`${weights[0]}: the file became shorter while it was read`)
})
