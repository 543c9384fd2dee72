import { afterAll, describe, expect, test } from "bun:test"
import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import packageJson from "../../package.json" with { type: "json" }
import { executable, runToEnd } from "./executable.ts"
import { defaultModel } from "./models.ts"
import { startServerProcess } from "./server-process.ts"

/**
 * The executable on a machine that has glibc and nothing else: a root directory that holds the loader, glibc's own
 * libraries, the executable and a model. No shell, no libstdc++, no libgomp, no libdnnl, no home, no user database.
 */
const GLIBC = ["libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "librt.so.1"]

const built = executable()
const model = defaultModel()

/** Words that start a command inside `root` as its whole world, or null where this machine does not allow it. */
function enter(root: string): string[] | null {
  // Bun finds its own payload through /proc.
  const script = 'mount --rbind /proc "$1/proc" && exec unshare --root="$1" -- "${@:2}"'
  const isRoot = process.getuid?.() === 0
  const words = ["unshare", ...(isRoot ? [] : ["-r"]), "-m", "bash", "-c", script, "bash", root]
  try {
    const probe = Bun.spawnSync([...words, "/app/baozi", "--version"], { env: { PATH: process.env["PATH"] ?? "" } })
    if (probe.success) return words
    console.log(`SKIPPED: no separate root directory here: ${probe.stderr.toString().trim().split("\n")[0]}`)
  } catch (error) {
    console.log(`SKIPPED: no separate root directory here: ${(error as Error).message}`)
  }
  return null
}

/** Where this machine keeps a library of glibc, by what a program is linked with. */
function glibcFiles(program: string): string[] {
  const listed = Bun.spawnSync(["ldd", program]).stdout.toString()
  const paths = [...listed.matchAll(/(\/\S+) \(0x/g)].map((match) => match[1]!)
  const libc = paths.find((path) => path.endsWith("/libc.so.6"))
  const loader = paths.find((path) => path.includes("/ld-linux"))
  if (libc === undefined || loader === undefined) throw new Error(`no glibc in: ${listed}`)
  return [loader, ...GLIBC.map((name) => join(dirname(libc), name))]
}

let root: string | null = null
let words: string[] | null = null

function makeRoot(): string {
  const made = mkdtempSync(join(tmpdir(), "baozi-bare-"))
  for (const dir of ["proc", "tmp", "app"]) mkdirSync(join(made, dir))
  for (const path of glibcFiles(built!)) {
    mkdirSync(join(made, dirname(path)), { recursive: true })
    copyFileSync(path, join(made, path))
  }
  copyFileSync(built!, join(made, "app/baozi"))
  if (model !== null) copyFileSync(model, join(made, "app/model.gguf"))
  return made
}

if (built !== null) {
  root = makeRoot()
  words = enter(root)
}
const env = { PATH: process.env["PATH"] ?? "" }

afterAll(() => {
  if (root !== null) rmSync(root, { recursive: true })
})

describe.skipIf(words === null)("with glibc and nothing else", () => {
  test("says its version", () => {
    expect(runToEnd([...words!, "/app/baozi", "--version"], { cwd: root!, env }))
      .toEqual({ code: 0, stdout: `baozi ${packageJson.version}\n`, stderr: "" })
  })

  test.skipIf(model === null)("serves a model and ends when told to", async () => {
    const server = await startServerProcess([...words!, "/app/baozi", "serve", "/app/model.gguf"], { cwd: root!, env })
    const response = await fetch(`${server.url}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({
        messages: [{ role: "user", content: "What is the capital of France?" }], temperature: 0, max_tokens: 20,
      }),
    })
    const body = (await response.json()) as { choices: { message: { content: string } }[] }
    expect(body.choices[0]?.message.content).toBe("The capital of France is Paris.")
    expect((await fetch(`${server.url}/docs/swagger-ui.css`)).status).toBe(200)
    expect(await server.stop()).toBe(0)
  }, 60_000)
})
