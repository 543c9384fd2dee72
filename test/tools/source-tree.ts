import { readFileSync } from "node:fs"
import { dirname, join, resolve } from "node:path"

export const REPOSITORY = resolve(import.meta.dir, "../..")

export interface SourceFile {
  /** Relative to the repository's root. */
  readonly path: string
  readonly text: string
  readonly lines: readonly string[]
}

function read(path: string): SourceFile {
  const text = readFileSync(join(REPOSITORY, path), "utf8")
  return { path, text, lines: text.split("\n") }
}

/** Files that match one of the globs, sorted by path. */
export function sourceFiles(...globs: readonly string[]): SourceFile[] {
  const paths = globs.flatMap((glob) => [...new Bun.Glob(glob).scanSync({ cwd: REPOSITORY, dot: true })])
  return [...new Set(paths)].sort().map(read)
}

const IMPORT = /^\s*(?:import|export)\b(?:[^"'`;]*?\bfrom)?\s*"([^"]+)"|\bimport\("([^"]+)"\)/gm

export interface Import {
  readonly from: string
  /** Relative to the repository's root for a relative import; else a package's or a built-in module's name. */
  readonly to: string
  readonly isRelative: boolean
}

/** Every import of a file, those of types and dynamic ones too. */
export function importsOf(file: SourceFile): Import[] {
  return [...file.text.matchAll(IMPORT)].map((match) => {
    const specifier = match[1] ?? match[2]!
    const isRelative = specifier.startsWith(".")
    return { from: file.path, to: isRelative ? join(dirname(file.path), specifier) : specifier, isRelative }
  })
}

/** A cycle in the import graph, as the files on it, or null. */
export function findCycle(imports: readonly Import[]): string[] | null {
  const targets = Map.groupBy(imports.filter((edge) => edge.isRelative), (edge) => edge.from)
  const state = new Map<string, "open" | "done">()
  const path: string[] = []
  const visit = (file: string): string[] | null => {
    if (state.get(file) === "done") return null
    if (state.get(file) === "open") return [...path.slice(path.indexOf(file)), file]
    state.set(file, "open")
    path.push(file)
    for (const { to } of targets.get(file) ?? []) {
      const cycle = visit(to)
      if (cycle !== null) return cycle
    }
    path.pop()
    state.set(file, "done")
    return null
  }
  for (const file of targets.keys()) {
    const cycle = visit(file)
    if (cycle !== null) return cycle
  }
  return null
}
