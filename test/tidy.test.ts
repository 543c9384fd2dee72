/** The repository's own rules, executed. Each failure lists every place that breaks the rule. */
import { describe, expect, test } from "bun:test"
import { existsSync } from "node:fs"
import { join } from "node:path"
import { KernelLibrary } from "../ffi/library.ts"
import { preloadLibraries } from "../ffi/preload.ts"
import { describeLayout, STRUCTS } from "../ffi/structs.ts"
import { SYMBOLS } from "../ffi/symbols.ts"
import { locateLibraries } from "../src/cli/libraries.ts"
import { WORKERS } from "../src/app/workers.ts"
import { findCycle, importsOf, REPOSITORY, sourceFiles, type Import, type SourceFile } from "./tools/source-tree.ts"

const MAX_LINES = 600
const MAX_COLUMNS = 160
/** What lines aim at; those beyond it may only become fewer. */
const AIM_COLUMNS = 120
const MAX_LINES_BEYOND_AIM = 90
/** Regular expressions as their vocabularies state them. */
const LONG_BY_NATURE = ["src/text/gguf-pre-tokenizers.ts"]
/** The contract of all kernel libraries is one file, and its manual. */
const MANY_LINES_BY_NATURE = ["native/include/baozi.h"]

/**
 * Layer -> layers it may import, types included; a layer may always import itself and base. Files right in src/, `app`
 * and `commands` wire the others together and may import all of them, but `app` no command.
 */
const LAYERS: Readonly<Record<string, readonly string[]>> = {
  base: [],
  core: [],
  text: [],
  engine: ["core", "text"],
  api: ["engine", "core", "text"],
  cli: ["api", "engine", "core", "text", "client"],
  app: ["cli", "api", "engine", "core", "text", "exec", "model", "tensor", "ffi", "grammar", "bench"],
  commands: [
    "app", "cli", "api", "engine", "core", "text", "exec", "model", "tensor", "ffi", "grammar", "bench", "client",
    "batch", "doctor",
  ],
  ffi: [],
  tensor: ["ffi"],
  model: ["tensor", "ffi"],
  exec: ["core", "model", "tensor", "ffi"],
  grammar: ["core"],
  client: [],
  batch: [],
  doctor: [],
  bench: ["engine", "core", "exec", "model", "text", "tensor", "ffi"],
}
/** What exec must not know of core: how it decides. Plans, parameters and the shapes of the KV cache it may. */
const POLICY = ["src/core/scheduler.ts", "src/core/request.ts", "src/core/kv/kv-manager.ts"]

const product = sourceFiles("src/**/*.ts", "ffi/*.ts", "packages/**/*.ts")
const scripts = sourceFiles("test/**/*.ts", "tools/**/*.ts", "tools/*.py")
const native = sourceFiles("native/**/*.{h,c,cc,cu,mk}")
const prose = sourceFiles("*.md", "docs/**/*.md", "Makefile", ".ci/*")
const everything = [...product, ...scripts, ...native, ...prose]
const imports = product.flatMap(importsOf)

/** "path:line: text" of the lines that break a rule. */
function offences(files: readonly SourceFile[], isBad: (line: string) => boolean): string[] {
  return files.flatMap(({ path, lines }) =>
    lines.flatMap((line, i) => (isBad(line) ? [`${path}:${i + 1}: ${line.trim()}`] : [])))
}

function withoutComment(line: string): string {
  return line.replace(/\/\/.*|^\s*\/?\*.*/, "")
}

/** Null for files that wire layers, and for the data that any layer may read. */
function layerOf(path: string): string | null {
  const [top, second, third] = path.split("/")
  if (top === "ffi") return "ffi"
  if (path.startsWith("src/cli/commands/")) return "commands"
  return top === "src" && third !== undefined ? second! : null
}

describe("imports", () => {
  test("there is something to check", () => {
    expect(product.length).toBeGreaterThan(50)
    expect(imports.filter(({ isRelative }) => isRelative).length).toBeGreaterThan(100)
  })

  test("point down the layers", () => {
    const isBad = ({ from, to }: Import) => {
      const layer = layerOf(from)
      const target = layerOf(to)
      if (layer === null) return false
      if (target === null) return !to.endsWith(".json") && !to.startsWith("node_modules/")
      return target !== layer && target !== "base" && !LAYERS[layer]!.includes(target)
    }
    const unknown = product.map(({ path }) => layerOf(path)).filter((layer) => layer !== null && !(layer in LAYERS))
    expect(unknown).toEqual([])
    const bad = imports.filter((edge) => edge.isRelative && isBad(edge))
    expect(bad.map(({ from, to }) => `${from} -> ${to}`)).toEqual([])
  })

  test("exec does not know how core decides", () => {
    expect(imports.filter(({ from, to }) => layerOf(from) === "exec" && POLICY.includes(to))).toEqual([])
    for (const path of POLICY) expect(existsSync(join(REPOSITORY, path))).toBe(true)
  })

  test("have no cycles", () => {
    expect(findCycle(imports)).toBeNull()
  })

  test("of our own files carry their extension and exist", () => {
    const missing = imports.filter(({ to, isRelative }) => isRelative && !existsSync(join(REPOSITORY, to)))
    expect(missing.map(({ from, to }) => `${from} -> ${to}`)).toEqual([])
  })

  test("of packages are dependencies that users get", async () => {
    const { dependencies } = await Bun.file(join(REPOSITORY, "package.json")).json()
    const packages = imports
      .filter(({ to, isRelative }) => !isRelative && !/^(node|bun):|^bun$/.test(to))
      .filter(({ to }) => !Object.keys(dependencies).some((name) => to === name || to.startsWith(`${name}/`)))
    expect(packages.map(({ from, to }) => `${from} -> ${to}`)).toEqual([])
  })
})

describe("core", () => {
  const core = product.filter(({ path }) => path.startsWith("src/core/"))

  test("imports no packages and no host modules but one-shot hashing", () => {
    const host = core.flatMap(importsOf).filter(({ to, isRelative }) => !isRelative && to !== "node:crypto")
    expect(host).toEqual([])
  })

  test("neither waits nor tells the time nor draws lots", () => {
    const isImpure = (line: string) =>
      /\b(Promise|async|await|setTimeout|setInterval|queueMicrotask|Date|performance|process|Bun)\b|Math\.random/
        .test(withoutComment(line))
    expect(offences(core, isImpure)).toEqual([])
  })
})

describe("text", () => {
  test(`files have at most ${MAX_LINES} lines`, () => {
    const long = [...product, ...scripts, ...native]
      .filter(({ path, lines }) => lines.length > MAX_LINES + 1 && !MANY_LINES_BY_NATURE.includes(path))
    expect(long.map(({ path, lines }) => `${path}: ${lines.length}`)).toEqual([])
  })

  test(`lines have at most ${MAX_COLUMNS} columns, and seldom more than ${AIM_COLUMNS}`, () => {
    const code = [...product, ...scripts, ...native].filter(({ path }) => !LONG_BY_NATURE.includes(path))
    expect(offences(code, (line) => line.length > MAX_COLUMNS)).toEqual([])
    const beyond = offences(code, (line) => line.length > AIM_COLUMNS)
    if (beyond.length > MAX_LINES_BEYOND_AIM) console.log(beyond.join("\n"))
    expect(beyond.length).toBeLessThanOrEqual(MAX_LINES_BEYOND_AIM)
  })

  test("no tabs, no trailing spaces, a line break at the end", () => {
    const code = [...product, ...scripts, ...native.filter(({ path }) => !path.endsWith(".mk"))]
    expect(offences(code, (line) => /\t|\s+$/.test(line))).toEqual([])
    expect(code.filter(({ text }) => !text.endsWith("\n")).map(({ path }) => path)).toEqual([])
  })

  const banned: [string, RegExp][] = [
    ["paths of one machine", /(^|[^\w.$/-])\/(work|tmp|root)\b(?!\))/],
    ["hosts of registries", /\b(npmjs|pypi|pythonhosted|golang)\.(org|com)\b/],
    ["words about how the code came to be", /\bhelpers?\b|\bas an ai\b|\bprompted by\b/i],
    ["notes without an issue", /\b(TODO|FIXME|XXX|HACK)\b(?!\(#\d+\))/],
    ["leftovers of debugging", /^\s*debugger\b|\btest\.only\b|\bdescribe\.only\b/],
  ]
  test.each(banned)("holds no %s", (_, pattern) => {
    const files = everything.filter(({ path }) => path !== "test/tidy.test.ts")
    expect(offences(files, (line) => pattern.test(line))).toEqual([])
  })

  test("product code has no `any`, no suppressed checks and no bare console.log", () => {
    const pattern = /\bas any\b|: any\b(?!\w)|<any[>,]|@ts-(ignore|nocheck|expect-error)|\bconsole\.log\(/
    const isBad = (line: string) => pattern.test(withoutComment(line))
    expect(offences(product, isBad)).toEqual([])
  })

  test("product code writes to its standard streams through base/standard-streams.ts alone", () => {
    // Lines that are edited on a terminal go to the runtime's own streams.
    const others = product.filter(({ path }) => path !== "src/cli/commands/talk.ts")
    const pattern = /\bprocess\.std(out|err)\.write\b|\bwriteSync\((1|2),|\bconsole\.\w+\(|Bun\.std(out|err)\b/
    expect(offences(others, (line) => pattern.test(withoutComment(line)))).toEqual([])
  })

  test("files are named in kebab case, native ones in snake case", () => {
    const name = (path: string) => path.slice(path.lastIndexOf("/") + 1)
    expect(product.filter(({ path }) => !/^[a-z0-9-]+(\.d)?\.ts$/.test(name(path))).map(({ path }) => path)).toEqual([])
    const cFiles = native.filter(({ path }) => /\.(h|c|cc|cu)$/.test(path))
    expect(cFiles.filter(({ path }) => !/^[a-z0-9_]+\.\w+$/.test(name(path))).map(({ path }) => path)).toEqual([])
  })
})

describe("threads", () => {
  test("start from files that the executable carries", () => {
    expect(WORKERS.filter((file) => !existsSync(join(REPOSITORY, "src", file)))).toEqual([])
    const started = product.flatMap(({ path, text }) => text.includes("new Worker(") ? [path] : [])
    expect(started.length).toBeGreaterThan(0)
    // A relative path would be looked up in the current directory.
    expect(offences(product, (line) => /new Worker\((?!workerUrl\(|new URL\(|url\b)/.test(line))).toEqual([])
  })
})

describe("the ABI", () => {
  const header = sourceFiles("native/include/baozi.h")[0]!
  const declared = [...header.text.matchAll(/^BZ_API\s[^;(]*?\b(bz_\w+)\(/gm)].map((match) => match[1]!)

  test("every function of the header is in abi.ts, and no other", () => {
    expect(declared.length).toBeGreaterThan(20)
    expect(declared.toSorted()).toEqual(Object.keys(SYMBOLS).toSorted())
  })

  test("the version is the same on both sides", async () => {
    const { ABI_VERSION } = await import("../ffi/abi.ts")
    expect(header.text).toContain(`#define BZ_ABI_VERSION ${ABI_VERSION}u`)
  })

  const libraries = ["libbaozi_cpu.so", "libbaozi_null.so", "libbaozi_ref.so"]
    .map((name) => join(REPOSITORY, "build/lib", name)).filter((path) => existsSync(path))
  if (libraries.length < 3) console.log("SKIPPED: layouts of libraries that are not built; run `make native`")

  test.each(libraries)("%s lays out its structs as structs.ts does", (path) => {
    if (path.includes("cpu")) preloadLibraries(locateLibraries().preload)
    const layout = KernelLibrary.open(path).layout().trim().split("\n")
    const expected = Object.values(STRUCTS).map((struct) => describeLayout(struct))
    expect(layout.toSorted()).toEqual(expected.toSorted())
  })
})

describe("the door", () => {
  test("every target of the Makefile that people may call is explained", () => {
    const makefile = sourceFiles("Makefile")[0]!
    const phony = [...makefile.text.matchAll(/^\.PHONY: (.+)$/gm)].flatMap((match) => match[1]!.split(" "))
    const explained = [...makefile.text.matchAll(/^([a-z0-9-]+):.*## /gm)].map((match) => match[1]!)
    expect(explained.length).toBeGreaterThan(10)
    expect(phony.filter((target) => !explained.includes(target))).toEqual(["tools", "types"])
  })
})

describe("docs/conformance.md", () => {
  const table = sourceFiles("docs/conformance.md")[0]!
  const rows = table.lines.filter((line) => /^\| \d/.test(line)).map((line) => line.split(" | ").map((cell) => cell.trim()))

  test("has the checks in order, each with tests or waiting for its feature", () => {
    expect(rows.map(([number]) => Number(number!.slice(2)))).toEqual(Array.from({ length: 60 }, (_, i) => i + 1))
    const proof = /^(with its feature|`\S+\.test\.ts`( "[^"]+",?)+(; `\S+\.test\.ts`( "[^"]+",?)+)*) \|$/
    expect(rows.filter((cells) => cells.length !== 3 || !proof.test(cells[2]!)).map((cells) => cells.join(" | "))).toEqual([])
  })

  test("names tests that are there", () => {
    const tests = new Map(scripts.map(({ path, text }) => [path, text]))
    const missing = rows.flatMap(([, , proof]) => proof!.split(/; (?=`)/).flatMap((part) => {
      const path = /`(.+?)`/.exec(part)?.[1]
      const text = tests.get(`test/${path}`) ?? ""
      const titles = [...part.matchAll(/"([^"]+)"/g)].map((match) => match[1]!)
      // A title that is put together is named by its beginning.
      const isThere = (title: string) => text.includes(`"${title}"`) || text.includes(`\`${title}`)
      return titles.filter((title) => !isThere(title)).map((title) => `${path}: ${title}`)
    }))
    expect(missing).toEqual([])
  })
})
