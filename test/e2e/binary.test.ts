import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import packageJson from "../../package.json" with { type: "json" }
import { executable, runToEnd } from "./executable.ts"

/** The executable as a user gets it: one file, an empty directory, nothing in the environment. */
const built = executable()
const VERSION_LINE = `baozi ${packageJson.version}\n`

let root: string
let baozi: string
let cwd: string
/** Enough of a model to get as far as the kernel library, which maps it, and no further. */
let brokenModel: string
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "baozi-binary-"))
  baozi = join(root, "baozi")
  cwd = join(root, "empty")
  brokenModel = join(root, "broken.gguf")
  writeFileSync(brokenModel, "GGUF, or so it says")
  mkdirSync(cwd)
  if (built !== null) copyFileSync(built, baozi)
})
afterAll(() => rmSync(root, { recursive: true }))

function run(words: string[], options: { cwd?: string; env?: Record<string, string> } = {}) {
  return runToEnd([baozi, ...words], { cwd: options.cwd ?? cwd, env: options.env ?? {} })
}

describe.skipIf(built === null)("the executable alone", () => {
  test("says its version and explains itself", () => {
    expect(run(["--version"])).toEqual({ code: 0, stdout: VERSION_LINE, stderr: "" })
    expect(run(["--help"])).toMatchObject({ code: 0, stderr: "" })
    const { code, stdout } = run(["serve", "--help"])
    expect(code).toBe(0)
    expect(stdout).toContain("--max-num-batched-tokens")
    expect(readdirSync(cwd)).toEqual([])
  })

  test("refuses wrong words and a model that is not there", () => {
    expect(run(["serve", "--prot", "1"]).code).toBe(2)
    const missing = run(["serve", "./nothing.gguf"], { env: { XDG_CACHE_HOME: join(root, "cache") } })
    expect(missing.code).toBe(1)
    expect(missing.stderr).toMatch(/error: .*nothing\.gguf/)
    const broken = run(["serve", brokenModel], { env: { XDG_CACHE_HOME: join(root, "cache") } })
    expect(broken.code).toBe(1)
    expect(broken.stderr).toMatch(/error: .*broken\.gguf/)
  })

  test("without a model says how to get the default one", () => {
    const { code, stderr } = run(["serve"], { env: { XDG_CACHE_HOME: join(root, "no-model") } })
    expect(code).toBe(1)
    expect(stderr).toStartWith("error: no model given")
    expect(stderr).toContain("make model")
  })
})

describe.skipIf(built === null)("what lies around", () => {
  // Each of these makes a Bun that reads it print something else, or fail.
  test("files in the directory it is started in have no effect", () => {
    const poisoned = join(root, "poisoned")
    const worker = join(poisoned, "src/exec/worker.ts")
    mkdirSync(dirname(worker), { recursive: true })
    writeFileSync(join(poisoned, "poison.ts"), 'console.log("poisoned"); process.exit(66)')
    writeFileSync(join(poisoned, ".env"), "BAOZI_LIB_DIR=/proc/poisoned\nXDG_CACHE_HOME=/proc/poisoned\n")
    writeFileSync(join(poisoned, "bunfig.toml"), 'preload = ["./poison.ts"]\n[run]\npreload = ["./poison.ts"]\n')
    writeFileSync(join(poisoned, "package.json"), '{"type": "commonjs", "bun": {"preload": "./poison.ts"}}')
    writeFileSync(join(poisoned, "tsconfig.json"), '{"compilerOptions": {"paths": {"*": ["./poison.ts"]}}}')
    writeFileSync(worker, 'console.log("poisoned"); process.exit(66)')
    expect(run(["--version"], { cwd: poisoned })).toEqual({ code: 0, stdout: VERSION_LINE, stderr: "" })
    const started = run(["serve", brokenModel], { cwd: poisoned, env: { XDG_CACHE_HOME: join(root, "cache") } })
    expect(started.code).toBe(1)
    expect(started.stdout + started.stderr).not.toContain("poisoned")
    expect(started.stderr).toContain("broken.gguf")
  })

  test.each([
    ["BUN_OPTIONS", "--version"],
    ["BUN_OPTIONS", "--preload ./poison.ts"],
    ["BUN_BE_BUN", "1"],
    ["BUN_INSPECT", "127.0.0.1:0"],
    ["NODE_OPTIONS", "--require ./poison.ts"],
  ])("%s=%s has no effect", (name, value) => {
    expect(run(["--version"], { env: { [name]: value } })).toEqual({ code: 0, stdout: VERSION_LINE, stderr: "" })
  })
})

describe.skipIf(built === null)("its libraries", () => {
  const start = (env: Record<string, string>) => run(["doctor"], { env })

  test("are written where the user says, or it says why not", () => {
    const chosen = join(root, "chosen")
    start({ BAOZI_LIB_DIR: chosen, XDG_CACHE_HOME: join(root, "unused") })
    const [key] = readdirSync(chosen)
    expect(readdirSync(join(chosen, key!))).toContain("libbaozi_cpu.so")
    expect(readdirSync(join(chosen, key!))).toContain("libdnnl.so.3")
    expect(existsSync(join(root, "unused"))).toBe(false)

    const refused = start({ BAOZI_LIB_DIR: "/proc/nowhere" })
    expect(refused.code).toBe(1)
    expect(refused.stdout).toMatch(/no directory to put the kernel libraries in\. \/proc\/nowhere.*--lib-dir/)
  })

  test("go to the temporary directory where there is no usable cache", () => {
    const temporary = join(root, "temporary")
    mkdirSync(temporary)
    start({ XDG_CACHE_HOME: "/proc/nowhere", TMPDIR: temporary })
    expect(readdirSync(temporary)).toEqual([`baozi-${process.getuid!()}`])
  })
})
