/** `baozi doctor`: wires what it looks at to the libraries, the executable's files and the terminal. */
import { accessSync, constants, existsSync, readFileSync } from "node:fs"
import { arch, release, type } from "node:os"
import { join } from "node:path"
import { KernelLibrary } from "../../../ffi/library.ts"
import { NativeStream } from "../../../ffi/stream.ts"
import { preloadLibraries } from "../../../ffi/preload.ts"
import { cacheDir, isStandalone } from "../../base/embedded.ts"
import { stdout } from "../../base/standard-streams.ts"
import { DEFAULT_MODEL_NAME, findDefaultModel } from "../default-model.ts"
import { VERSION } from "../index.ts"
import { locateLibraries, type LibraryPaths } from "../libraries.ts"
import type { LocalConfig } from "../local-options.ts"
import { HOST, readLimits, readMemory, readProcessor } from "../../doctor/host.ts"
import { describeLevels } from "../../doctor/levels.ts"
import { describe, findProblems, type Backend, type Directory, type Findings } from "../../doctor/report.ts"

/** Accelerators that the ABI is made for and that this version has no library for. */
const LATER_BACKENDS = ["cuda", "hip", "cann"]

/** Resolves with 1 when nothing could be served here. */
export async function doctor({ json, isa, libDir }: LocalConfig<"doctor">): Promise<number> {
  const findings = examine(isa ?? (process.env["BAOZI_ISA"] || null), libDir)
  const problems = findProblems(findings)
  stdout.write(json ? `${JSON.stringify({ ...findings, problems }, null, 2)}\n` : describe(findings, problems))
  return problems.some(({ severity }) => severity === "error") ? 1 : 0
}

function examine(isa: string | null, libDir: string | null): Findings {
  const { flags, ...processor } = readProcessor(HOST)
  const libraries = attempt(() => locateLibraries(libDir))
  const cpu = libraries.failure === null ? openCpu(libraries.value, isa) : unusable(libraries.failure)
  return {
    version: VERSION,
    system: {
      system: `${type()} ${release()} ${arch()}`,
      glibc: glibcVersion() ?? "none: only Linux with glibc is supported",
      executable: isStandalone() ? process.execPath : `from source, Bun ${Bun.version}`,
    },
    processor, level: cpu.level, threads: cpu.threads, levels: describeLevels(arch(), flags, cpu.levels),
    backends: backendsOf(libraries.value, cpu.failure, cpu.level),
    memory: readMemory(HOST), limits: readLimits(HOST),
    directories: [libraryDirectory(libraries.value, libraries.failure), modelDirectory()],
  }
}

type Attempt<T> = { readonly value: T; readonly failure: null } | { readonly value: null; readonly failure: string }

function attempt<T>(action: () => T): Attempt<T> {
  try {
    return { value: action(), failure: null }
  } catch (error) {
    return { value: null, failure: error instanceof Error ? error.message : String(error) }
  }
}

interface CpuBackend {
  readonly failure: string | null
  /** Usable ones. */
  readonly levels: readonly string[]
  /** That a stream gets. */
  readonly level: string | null
  /** That a stream gets: the library itself reads the affinity mask and the control group's quota. */
  readonly threads: number | null
}

function openCpu(paths: LibraryPaths, isa: string | null): CpuBackend {
  const opened = attempt(() => {
    preloadLibraries(paths.preload)
    const library = KernelLibrary.open(paths.cpu)
    const { isa: best, features, cores } = library.info() as { isa: string; features: string[]; cores: number }
    NativeStream.create(library, { numThreads: 1, isa }).destroy()
    return { level: isa ?? best, levels: features, threads: cores }
  })
  return opened.value === null ? unusable(opened.failure) : { failure: null, ...opened.value }
}

function unusable(failure: string): CpuBackend {
  return { failure, levels: [], level: null, threads: null }
}

function backendsOf(paths: LibraryPaths | null, failure: string | null, level: string | null): Backend[] {
  const cpu: Backend = {
    name: "cpu", isUsable: failure === null, detail: failure ?? `kernels for ${level}`, path: paths?.cpu ?? null,
  }
  const absent = (name: string): Backend =>
    ({ name, isUsable: false, detail: "this version has no kernels for it", path: null })
  return [cpu, ...LATER_BACKENDS.map(absent)]
}

function libraryDirectory(paths: LibraryPaths | null, failure: string | null): Directory {
  const path = paths === null ? null : join(paths.cpu, "..")
  const detail = failure ?? "checked and executable"
  return { purpose: "kernel libraries", path, isUsable: path !== null, detail }
}

function modelDirectory(): Directory {
  const cache = cacheDir()
  const path = cache === null ? null : join(cache, "models")
  const found = attempt(() => findDefaultModel())
  const detail = found.failure === null ? `holds ${DEFAULT_MODEL_NAME}, checked` : describeModels(path)
  return { purpose: "models", path, isUsable: found.failure === null, detail }
}

function describeModels(path: string | null): string {
  if (path === null) return "this user has no home directory"
  const state = existsSync(path) ? "" : "not there yet; "
  return `${state}without the default model, which \`make model\` gets`
}

/** From the C library's own file: there is no call for it here. */
function glibcVersion(): string | null {
  const maps = attempt(() => readFileSync("/proc/self/maps", "latin1")).value ?? ""
  const path = /\/\S*\/libc\.so\.6$/m.exec(maps)?.[0]
  if (path === undefined || attempt(() => accessSync(path, constants.R_OK)).failure !== null) return null
  return /GNU C Library [^\n]*version (\d+\.\d+)/.exec(readFileSync(path, "latin1"))?.[1] ?? null
}
