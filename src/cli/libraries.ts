import { existsSync } from "node:fs"
import { join } from "node:path"
import { extractFiles, readEmbedded, readManifest } from "../base/embedded.ts"
import { ConfigError } from "../base/errors.ts"

export interface LibraryPaths {
  /** The CPU kernel library. */
  readonly cpu: string
  /** What it needs, in the order in which to open it before (`preloadLibraries`): each after its own needs. */
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
  const paths = extractFiles(manifest.libraries, { chosenDir: chosenDir === "" ? null : chosenDir, read: readEmbedded })
  return { cpu: paths.at(-1)!, preload: paths.slice(0, -1) }
}

function locateBuilt(buildDir: string): LibraryPaths {
  const cpu = join(buildDir, "lib/libbaozi_cpu.so")
  if (!existsSync(cpu)) throw new ConfigError(`${cpu} is missing. HINT: run \`make native\``)
  // Everything else that it needs is the compiler's run-time library, which the system's loader finds.
  const dnnl = join(buildDir, "deps/onednn/lib/libdnnl.so.3")
  return { cpu, preload: existsSync(dnnl) ? [dnnl] : [] }
}
