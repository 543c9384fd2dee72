import { createHash, randomBytes } from "node:crypto"
import {
  accessSync, chmodSync, closeSync, constants, existsSync, fstatSync, lstatSync, mkdirSync, openSync, readFileSync,
  readSync, renameSync, rmSync, writeSync,
} from "node:fs"
import { homedir, tmpdir } from "node:os"
import { join } from "node:path"
import { ConfigError } from "./errors.ts"

/**
 * Files that travel inside the executable.
 *
 * The kernel libraries have to be files for the system's loader, so the first start writes them to a directory named by
 * their contents. Every start checks their SHA-256 before they are opened: a file that was cut, or planted by somebody
 * else, is written anew. The directory has to belong to this user and be writable by nobody else.
 */

/** Where `bun build --compile` mounts what it packed. Workers are entry points below it, named as under src/. */
const EMBEDDED_ROOT = "/$bunfs/root"
const CHUNK_BYTES = 1 << 20

export interface EmbeddedFile {
  readonly name: string
  /** Of the file as it is written out. */
  readonly bytes: number
  readonly sha256: string
}

export interface EmbeddedManifest {
  /** What the kernel libraries need, in the order in which to open it: each after its own needs. */
  readonly preload: readonly EmbeddedFile[]
  /** The kernel libraries. */
  readonly cpu: EmbeddedFile
  readonly null: EmbeddedFile
}

export function isStandalone(): boolean {
  return Bun.isStandaloneExecutable
}

/**
 * The URL to give to `new Worker`, for a file named relative to src/, such as "exec/worker.ts".
 *
 * NOTE: a relative path would be looked up in the current directory, where anybody may have put a file.
 */
export function workerUrl(file: string): string {
  if (isStandalone()) return `file://${EMBEDDED_ROOT}/${file}`
  return new URL(`../${file}`, import.meta.url).href
}

/** Null when run from source. */
export function readManifest(): EmbeddedManifest | null {
  if (!isStandalone()) return null
  return JSON.parse(readFileSync(`${EMBEDDED_ROOT}/embed/manifest.json`, "utf8")) as EmbeddedManifest
}

/** The contents of an embedded library, which is packed compressed. */
export function readEmbedded(file: EmbeddedFile): Uint8Array {
  return Bun.zstdDecompressSync(readFileSync(`${EMBEDDED_ROOT}/embed/lib/${file.name}.zst`))
}

/** xgrammar's module. From source it is where `make grammar` puts it. */
export function readGrammarModule(): Uint8Array {
  const fromSource = () => new URL("../../build/xgrammar/xgrammar.wasm", import.meta.url)
  return readFileSync(isStandalone() ? `${EMBEDDED_ROOT}/embed/xgrammar.wasm` : fromSource())
}

/** This user's cache directory for Baozi, or null for a user without a home; nothing is created. */
export function cacheDir(env: Readonly<Record<string, string | undefined>> = process.env): string | null {
  const chosen = env["XDG_CACHE_HOME"]
  if (chosen !== undefined && chosen.startsWith("/")) return join(chosen, "baozi")
  const home = env["HOME"] || homeOfUser()
  return home === null ? null : join(home, ".cache/baozi")
}

function homeOfUser(): string | null {
  try {
    return homedir()
  } catch {
    return null // not in the user database: a bare container
  }
}

/**
 * Writes `files` into a directory where they can be opened as libraries, and returns their paths in the same order.
 *
 * `chosenDir` is the user's choice and is used or refused; without one the user's cache directory is tried, then the
 * temporary directory. Errors: `ConfigError` that says what is wrong with each directory tried.
 */
export function extractFiles(
  files: readonly EmbeddedFile[],
  options: { chosenDir: string | null; read: (file: EmbeddedFile) => Uint8Array },
): string[] {
  const key = contentKey(files)
  const candidates = options.chosenDir !== null ? [options.chosenDir] : usualDirs()
  const reasons: string[] = []
  for (const candidate of candidates) {
    const directory = join(candidate, key)
    try {
      ensurePrivateDir(directory)
      return files.map((file) => extractOne(file, directory, options.read))
    } catch (error) {
      reasons.push(`${directory}: ${(error as Error).message}`)
    }
  }
  throw new ConfigError(
    `no directory to put the kernel libraries in. ${reasons.join("; ")}. ` +
      "HINT: choose one that is writable and not mounted noexec with --lib-dir or BAOZI_LIB_DIR",
  )
}

function usualDirs(): string[] {
  const cache = cacheDir()
  const temporary = join(tmpdir(), `baozi-${process.getuid?.() ?? 0}`, "lib")
  return cache === null ? [temporary] : [join(cache, "lib"), temporary]
}

function contentKey(files: readonly EmbeddedFile[]): string {
  const hash = createHash("sha256")
  for (const file of files) hash.update(`${file.name} ${file.sha256}\n`)
  return hash.digest("hex").slice(0, 16)
}

function ensurePrivateDir(directory: string): void {
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const stat = lstatSync(directory)
  if (!stat.isDirectory()) throw new Error("not a directory")
  if (stat.uid !== process.geteuid?.()) throw new Error("belongs to another user")
  if ((stat.mode & 0o022) !== 0) throw new Error("others may write to it")
}

function extractOne(file: EmbeddedFile, directory: string, read: (file: EmbeddedFile) => Uint8Array): string {
  const path = join(directory, file.name)
  if (!isIntact(path, file)) writeWhole(path, read(file))
  if (!isIntact(path, file)) throw new Error(`${file.name} does not hold what was written to it`)
  // access(2) answers EACCES for execution on a noexec mount, even to root.
  try {
    accessSync(path, constants.X_OK)
  } catch {
    throw new Error("mounted noexec")
  }
  return path
}

function isIntact(path: string, file: EmbeddedFile): boolean {
  if (!existsSync(path)) return false
  const stat = lstatSync(path)
  if (!stat.isFile() || stat.size !== file.bytes || (stat.mode & 0o022) !== 0) return false
  return sha256Of(path) === file.sha256
}

/** Readers see the old file or the whole new one: processes that start at the same time do not disturb each other. */
function writeWhole(path: string, bytes: Uint8Array): void {
  const temporary = `${path}.${process.pid}.${randomBytes(6).toString("hex")}`
  try {
    const fd = openSync(temporary, "wx", 0o700)
    try {
      for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at, bytes.length - at)
    } finally {
      closeSync(fd)
    }
    chmodSync(temporary, 0o700) // whatever the umask
    renameSync(temporary, path)
  } catch (error) {
    rmSync(temporary, { force: true })
    throw error
  }
}

/** SHA-256 of a file, in hex, a piece at a time. */
export function sha256Of(path: string): string {
  const hash = createHash("sha256")
  const fd = openSync(path, "r")
  try {
    const chunk = new Uint8Array(Math.min(CHUNK_BYTES, Math.max(1, fstatSync(fd).size)))
    for (;;) {
      const got = readSync(fd, chunk, 0, chunk.length, null)
      if (got === 0) return hash.digest("hex")
      hash.update(chunk.subarray(0, got))
    }
  } finally {
    closeSync(fd)
  }
}
