/**
 * Makes the executable: `bun build --compile` over src/main.ts and the workers, with the kernel library and every
 * library it needs, except glibc's own, and xgrammar's module packed inside.
 *
 *     bun tools/build-binary.ts --dnnl-lib-dir build/deps/onednn/lib --out dist/baozi
 */
import { createHash } from "node:crypto"
import { copyFileSync, existsSync, mkdirSync, readFileSync, realpathSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { basename, dirname, join, resolve } from "node:path"
import { parseArgs } from "node:util"
import type { EmbeddedFile, EmbeddedManifest } from "../src/base/embedded.ts"
import { WORKERS } from "../src/app/workers.ts"

const ROOT = resolve(import.meta.dir, "..")
const CPU_LIBRARY = join(ROOT, "build/lib/libbaozi_cpu.so")
const GRAMMAR_MODULE = join(ROOT, "build/xgrammar/xgrammar.wasm")
const NULL_LIBRARY = join(ROOT, "build/lib/libbaozi_null.so")
// Packed files are named relative to the directory that the bundler runs in.
const BUNDLE_DIR = join(ROOT, "build")
const EMBED_DIR = join(BUNDLE_DIR, "embed")
/** Packed libraries of earlier builds, by their contents. */
const PACKED_DIR = join(BUNDLE_DIR, "packed")
const ZSTD_LEVEL = 12

/** Every Linux with glibc has these, and they have to fit its loader: they are never packed. */
const GLIBC = /^(linux-vdso|ld-linux.*|libc|libm|libdl|libpthread|librt|libmvec)\.so/

/**
 * Variables by which Bun lets the environment turn an executable into something else: options, the Bun command line, a
 * debugger's port. No name of a variable contains "=", so a name that starts with one is never found.
 */
const DISARMED_VARIABLES = ["BUN_OPTIONS", "BUN_BE_BUN", "BUN_INSPECT"]

function run(command: string[], options: { cwd?: string; env?: Record<string, string> } = {}): string {
  const result = Bun.spawnSync(command, { cwd: options.cwd ?? ROOT, env: { ...process.env, ...options.env } })
  if (result.exitCode !== 0) throw new Error(`${command.join(" ")}:\n${result.stdout}${result.stderr}`)
  return result.stdout.toString()
}

/** Paths of what `library` needs at run time, by soname, glibc aside. */
function neededLibraries(library: string, dnnlLibDir: string): Map<string, string> {
  const found = new Map<string, string>()
  for (const line of run(["ldd", library], { env: { LD_LIBRARY_PATH: dnnlLibDir } }).split("\n")) {
    const match = /^\s*(\S+) => (.*?) \(0x/.exec(line)
    if (line.includes("not found")) throw new Error(`${library} needs a library that is not there: ${line.trim()}`)
    if (match !== null && !GLIBC.test(match[1]!)) found.set(match[1]!, realpathSync(match[2]!))
  }
  return found
}

/** Sonames in the order in which to open them: each after those it needs. */
function openingOrder(libraries: Map<string, string>): string[] {
  const order: string[] = []
  const visit = (soname: string) => {
    if (order.includes(soname) || !libraries.has(soname)) return
    const dynamic = run(["readelf", "-d", libraries.get(soname)!])
    for (const needed of dynamic.matchAll(/\(NEEDED\).*\[(.+)\]/g)) visit(needed[1]!)
    order.push(soname)
  }
  for (const soname of libraries.keys()) visit(soname)
  return order
}

function packLibrary(path: string, name: string): EmbeddedFile {
  const stripped = join(PACKED_DIR, name)
  run(["strip", "--strip-unneeded", "-o", stripped, path])
  const bytes = readFileSync(stripped)
  rmSync(stripped)
  const sha256 = createHash("sha256").update(bytes).digest("hex")
  // Packing takes most of a build's time, and most libraries are what they were at the last one.
  const packed = join(PACKED_DIR, `${sha256}.zst`)
  if (!existsSync(packed)) writeWhole(packed, Bun.zstdCompressSync(bytes, { level: ZSTD_LEVEL }))
  copyFileSync(packed, join(EMBED_DIR, "lib", `${name}.zst`))
  return { name, bytes: bytes.length, sha256 }
}

function writeWhole(path: string, bytes: Uint8Array): void {
  writeFileSync(`${path}.part`, bytes)
  renameSync(`${path}.part`, path)
}

function packLibraries(dnnlLibDir: string): void {
  rmSync(EMBED_DIR, { recursive: true, force: true })
  mkdirSync(join(EMBED_DIR, "lib"), { recursive: true })
  mkdirSync(PACKED_DIR, { recursive: true })
  copyFileSync(GRAMMAR_MODULE, join(EMBED_DIR, basename(GRAMMAR_MODULE)))
  // The null library needs nothing that the CPU library does not.
  const needed = neededLibraries(CPU_LIBRARY, dnnlLibDir)
  const manifest: EmbeddedManifest = {
    preload: openingOrder(needed).map((soname) => packLibrary(needed.get(soname)!, soname)),
    cpu: packLibrary(CPU_LIBRARY, basename(CPU_LIBRARY)),
    null: packLibrary(NULL_LIBRARY, basename(NULL_LIBRARY)),
  }
  writeFileSync(join(EMBED_DIR, "manifest.json"), JSON.stringify(manifest))
  for (const file of [...manifest.preload, manifest.cpu, manifest.null]) console.log(`  packed ${file.name}, ${(file.bytes / 1e6).toFixed(1)} MB`)
}

function compile(out: string): void {
  const entries = ["main.ts", ...WORKERS].map((file) => join("..", "src", file))
  run([
    // Bytecode: a start spends no time on reading source, which is half of its time without.
    process.execPath, "build", "--compile", "--bytecode", "--target", "bun", "--outfile", out,
    "--no-compile-autoload-dotenv", "--no-compile-autoload-bunfig",
    "--no-compile-autoload-tsconfig", "--no-compile-autoload-package-json",
    "--asset", "embed", ...entries,
  ], { cwd: BUNDLE_DIR })
}

/** Renames the variables inside Bun, byte for byte, in both forms in which it holds their names. */
function disarm(path: string): void {
  const image = readFileSync(path)
  for (const variable of DISARMED_VARIABLES) {
    let at = image.indexOf(`\0${variable}\0`)
    if (at < 0) throw new Error(`this Bun does not know ${variable} where it is expected`)
    image[at + 1] = "=".charCodeAt(0)
  }
  writeFileSync(path, image)
}

const { values } = parseArgs({ options: { "dnnl-lib-dir": { type: "string" }, out: { type: "string" } } })
const out = resolve(values.out ?? "dist/baozi")
const temporary = `${out}.${process.pid}`
mkdirSync(dirname(out), { recursive: true })
try {
  packLibraries(resolve(values["dnnl-lib-dir"] ?? "build/deps/onednn/lib"))
  compile(temporary)
  disarm(temporary)
  renameSync(temporary, out)
} finally {
  rmSync(temporary, { force: true })
}
console.log(`built ${out}, ${(Bun.file(out).size / 1e6).toFixed(1)} MB`)
