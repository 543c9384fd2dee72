import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test"
import { createHash } from "node:crypto"
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { cacheDir, extractFiles, workerUrl, type EmbeddedFile } from "../../../src/base/embedded.ts"
import { ConfigError } from "../../../src/base/errors.ts"

const CONTENT: Readonly<Record<string, string>> = { "liba.so": "first library", "libb.so": "second library" }
const FILES: EmbeddedFile[] = Object.entries(CONTENT).map(([name, text]) => ({
  name, bytes: text.length, sha256: createHash("sha256").update(text).digest("hex"),
}))

let root: string
let reads: string[] = []
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "baozi-embedded-"))
})
beforeEach(() => {
  reads = []
})
afterAll(() => rmSync(root, { recursive: true }))

let fresh = 0
function newDir(): string {
  return join(root, `d${fresh++}`)
}

function extract(chosenDir: string | null, files = FILES): string[] {
  const read = (file: EmbeddedFile) => {
    reads.push(file.name)
    return new TextEncoder().encode(CONTENT[file.name])
  }
  return extractFiles(files, { chosenDir, read })
}

describe("extractFiles", () => {
  test("writes each file once, whole, executable and private, and nothing else", () => {
    const dir = newDir()
    const paths = extract(dir)
    expect(paths.map((path) => readFileSync(path, "utf8"))).toEqual(Object.values(CONTENT))
    expect(statSync(paths[0]!).mode & 0o777).toBe(0o700)
    expect(statSync(dirname(paths[0]!)).mode & 0o777).toBe(0o700)
    expect(readdirSync(dirname(paths[0]!)).sort()).toEqual(["liba.so", "libb.so"])
    expect(extract(dir)).toEqual(paths)
    expect(reads).toEqual(["liba.so", "libb.so"])
  })

  const damages: [string, (path: string) => void][] = [
    ["cut", (path) => writeFileSync(path, "first")],
    ["planted, of the same size", (path) => writeFileSync(path, "evil! library")],
    ["gone", (path) => rmSync(path)],
    ["writable by others", (path) => chmodSync(path, 0o777)],
    ["a link to somewhere else", (path) => {
      const elsewhere = join(root, "elsewhere")
      writeFileSync(elsewhere, CONTENT["liba.so"]!)
      rmSync(path)
      symlinkSync(elsewhere, path)
    }],
  ]
  test.each(damages)("a file that is %s is written anew", (_, damage) => {
    const dir = newDir()
    const path = extract(dir)[0]!
    damage(path)
    reads = []
    expect(extract(dir)[0]).toBe(path)
    expect(reads).toEqual(["liba.so"])
    expect(readFileSync(path, "utf8")).toBe(CONTENT["liba.so"]!)
    expect(statSync(path).mode & 0o777).toBe(0o700)
  })

  test("other contents have another directory", () => {
    const dir = newDir()
    const before = dirname(extract(dir)[0]!)
    expect(dirname(extract(dir, FILES.slice(0, 1))[0]!)).not.toBe(before)
  })

  test("packed contents that are not what the manifest says are refused", () => {
    const wrong = [{ ...FILES[0]!, sha256: "0".repeat(64) }]
    expect(() => extract(newDir(), wrong)).toThrow(/liba.so does not hold what was written/)
  })

  test("a directory that others may write to is refused, with what to do", () => {
    const dir = newDir()
    chmodSync(dirname(extract(dir)[0]!), 0o777)
    expect(() => extract(dir)).toThrow(ConfigError)
    expect(() => extract(dir)).toThrow(/others may write to it.*--lib-dir/)
  })

  test("a chosen directory that cannot be made is refused, not replaced by another", () => {
    const file = newDir()
    writeFileSync(file, "")
    expect(() => extract(join(file, "below"))).toThrow(/ENOTDIR/)
    expect(() => extract("/proc/nowhere")).toThrow(/no directory to put the kernel libraries in/)
  })

  test("without a choice it is the user's cache directory", () => {
    const before = process.env["XDG_CACHE_HOME"]
    process.env["XDG_CACHE_HOME"] = newDir()
    try {
      expect(extract(null)[0]).toStartWith(join(process.env["XDG_CACHE_HOME"], "baozi/lib/"))
    } finally {
      if (before === undefined) delete process.env["XDG_CACHE_HOME"]
      else process.env["XDG_CACHE_HOME"] = before
    }
  })

  const noexec = noexecDir()
  test.skipIf(noexec === null)("a noexec mount is refused by name", () => {
    const dir = mkdtempSync(join(noexec!, "baozi-noexec-"))
    try {
      expect(() => extract(dir)).toThrow(/mounted noexec/)
    } finally {
      rmSync(dir, { recursive: true })
    }
  })
  if (noexec === null) console.log("skipped: no writable noexec mount here")
})

test("cacheDir follows XDG_CACHE_HOME where it is absolute", () => {
  expect(cacheDir({ XDG_CACHE_HOME: "/x" })).toBe("/x/baozi")
  expect(cacheDir({ XDG_CACHE_HOME: "x", HOME: "/a" })).toBe("/a/.cache/baozi")
  expect(cacheDir({})).toEndWith("/.cache/baozi")
})

test("a worker's URL does not depend on the current directory", () => {
  expect(workerUrl("main.ts")).toBe(new URL("../../../src/main.ts", import.meta.url).href)
})

function noexecDir(): string | null {
  for (const line of readFileSync("/proc/mounts", "utf8").split("\n")) {
    const [, path, type, options] = line.split(" ")
    const isCandidate = type === "tmpfs" && options?.split(",").includes("noexec") && options.startsWith("rw")
    if (!isCandidate || !existsSync(path!)) continue
    const probe = join(path!, `.baozi-probe-${process.pid}`)
    try {
      mkdirSync(probe)
      rmSync(probe, { recursive: true })
      return path!
    } catch {
      continue
    }
  }
  return null
}
