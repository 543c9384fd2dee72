import { describe, expect, test } from "bun:test"
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { ConfigError } from "../../../src/base/errors.ts"
import { hubCache, resolveModel } from "../../../src/model/resolve.ts"
import { TempDir } from "./files.ts"

function cacheWith(snapshots: readonly string[], main: string | null): TempDir {
  const dir = new TempDir()
  const repository = join(dir.path, "models--org--name")
  for (const name of snapshots) mkdirSync(join(repository, "snapshots", name), { recursive: true })
  if (main !== null) {
    mkdirSync(join(repository, "refs"), { recursive: true })
    writeFileSync(join(repository, "refs", "main"), main)
  }
  return dir
}

test("a path that exists is itself", () => {
  using dir = new TempDir()
  expect(resolveModel(dir.path, {})).toBe(dir.path)
})

describe("a repository is its snapshot in the cache", () => {
  const rows: [name: string, snapshots: string[], main: string | null, found: string | null][] = [
    ["the one that main names", ["aaa", "bbb"], "bbb\n", "bbb"],
    ["the only one", ["aaa"], null, "aaa"],
    ["several and no main", ["aaa", "bbb"], null, null],
    ["main names one that is gone", ["aaa"], "ccc", null],
    ["main leads elsewhere", ["aaa"], "../../..", null],
    ["none", [], "aaa", null],
  ]
  for (const [name, snapshots, main, found] of rows)
    test(name, () => {
      using dir = cacheWith(snapshots, main)
      const resolve = () => resolveModel("org/name", { HF_HUB_CACHE: dir.path })
      const repository = join(dir.path, "models--org--name")
      if (found !== null) expect(resolve()).toBe(join(repository, "snapshots", found))
      else expect(resolve).toThrow(new ConfigError(
        `there is no model org/name: neither the path ./org/name nor ${repository} exists or holds a snapshot`,
      ))
    })
})

test("names that are no repository are not looked up", () => {
  for (const name of ["/no/such/dir", "../up", "a/b/c", "./model.gguf", ".hidden/x", "org/..", ""])
    expect(() => resolveModel(name, { HF_HUB_CACHE: "/no/such/cache" })).toThrow(
      name === "" ? /empty/ : `there is no model at ${name}`,
    )
})

test("the cache is where Hugging Face's tools put it", () => {
  expect(hubCache({ HF_HUB_CACHE: "/c", HF_HOME: "/h" })).toBe("/c")
  expect(hubCache({ HF_HOME: "/h", XDG_CACHE_HOME: "/x" })).toBe("/h/hub")
  expect(hubCache({ XDG_CACHE_HOME: "/x" })).toBe("/x/huggingface/hub")
  expect(hubCache({ HOME: "/home/u" })).toBe("/home/u/.cache/huggingface/hub")
})
