import { existsSync } from "node:fs"
import { join } from "node:path"
import { extractFiles, readEmbedded, readManifest } from "../base/embedded.ts"
import { ConfigError } from "../base/errors.ts"

export interface LibraryPaths {
  /** The CPU kernel library. */
  readonly cpu: string
  /** The one that computes nothing, for measuring everything else. */
  readonly null: string
  /** What they need, in the order in which to open it before (`preloadLibraries`): each after its own needs. */
  readonly preload: readonly string[]
}

/**
 * The kernel library and what it needs, as files. The executable carries them and writes them out; from source they are
 * where `make native` puts them.
 *
 * `libDir` is --lib-dir, else BAOZI_LIB_DIR decides. Errors: `ConfigError`.
 */
export function locateLibraries(libDir: string | null = null): LibraryPaths {
  const chosenDir = libDir ?? process.env["BAOZI_LIB_DIR"] ?? null
  const manifest = readManifest()
  if (manifest === null) return locateBuilt(join(import.meta.dir, "../../build"))
  const files = [manifest.cpu, manifest.null, ...manifest.preload]
  const options = { chosenDir: chosenDir === "" ? null : chosenDir, read: readEmbedded }
  const [cpu, nullLibrary, ...preload] = extractFiles(files, options)
  return { cpu: cpu!, null: nullLibrary!, preload }
}

function locateBuilt(buildDir: string): LibraryPaths {
  const cpu = join(buildDir, "lib/libbaozi_cpu.so")
  if (!existsSync(cpu)) throw new ConfigError(`${cpu} is missing. HINT: run \`make native\``)
  // Everything else that it needs is the compiler's run-time library, which the system's loader finds.
  const dnnl = join(buildDir, "deps/onednn/lib/libdnnl.so.3")
  return { cpu, null: join(buildDir, "lib/libbaozi_null.so"), preload: existsSync(dnnl) ? [dnnl] : [] }
}
