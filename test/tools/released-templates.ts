/**
 * Chat templates of released models, as llama.cpp's source package carries them. They are fetched once, by version and
 * hash, into build/templates, and are no part of this repository.
 *
 *     bun test/tools/released-templates.ts        fetches them and prints where they are
 */
import {
  existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync,
} from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"

const VERSION = "0.3.36"
const SHA256 = "832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e"
const ARCHIVE = `llama_cpp_python-${VERSION}.tar.gz`
const MEMBER = `llama_cpp_python-${VERSION}/vendor/llama.cpp/models/templates`
const DIRECTORY = resolve(import.meta.dir, `../../build/templates/llama-cpp-python-${VERSION}`)
const FETCH_MS = 300_000

/** Sources by file name, or null with one printed line that says why they are not here. */
export function releasedTemplates(): Map<string, string> | null {
  const problem = existsSync(DIRECTORY) ? null : fetchTemplates()
  if (problem !== null) {
    console.log(`SKIPPED: the released chat templates of llama-cpp-python ${VERSION} cannot be fetched: ${problem}`)
    return null
  }
  const names = readdirSync(DIRECTORY).filter((name) => name.endsWith(".jinja"))
  return new Map(names.toSorted().map((name) => [name, readFileSync(join(DIRECTORY, name), "utf8")]))
}

/** What went wrong, or null. */
function fetchTemplates(): string | null {
  const work = mkdtempSync(join(tmpdir(), "templates-"))
  try {
    const requirements = join(work, "requirements.txt")
    writeFileSync(requirements, `llama-cpp-python==${VERSION} --hash=sha256:${SHA256}\n`)
    const download = run([
      "python3", "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:", "--no-cache-dir",
      "--require-hashes", "--retries", "1", "--dest", work, "--requirement", requirements,
    ])
    if (download !== null) return download
    const unpack = run(["tar", "-xzf", join(work, ARCHIVE), "-C", work, MEMBER])
    if (unpack !== null) return unpack
    // Copied beside its place and renamed, so that it is there whole or not at all.
    const copy = `${DIRECTORY}.${process.pid}`
    mkdirSync(copy, { recursive: true })
    for (const name of readdirSync(join(work, MEMBER))) {
      writeFileSync(join(copy, name), readFileSync(join(work, MEMBER, name)))
    }
    renameSync(copy, DIRECTORY)
    return null
  } finally {
    rmSync(work, { recursive: true })
  }
}

function run(command: string[]): string | null {
  try {
    const { success, stderr } = Bun.spawnSync(command, { timeout: FETCH_MS, stdout: "ignore" })
    return success ? null : (stderr.toString().trim().split("\n").at(-1) ?? "") || `${command[0]} failed`
  } catch (error) {
    return (error as Error).message
  }
}

if (import.meta.main) {
  if (releasedTemplates() === null) process.exit(1)
  console.log(DIRECTORY)
}
