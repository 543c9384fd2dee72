/**
 * Baozi and its peers on the same weights, turn by turn, on this machine: medians and ratios.
 *
 *     bun test/bench/peers.ts --peers-dir DIR [--peers llama.cpp,llama.cpp-bin,vllm,openvino,mistral.rs,amd-pace]
 *         [--shapes smollm2-135m,qwen2.5-0.5b] [--formats bf16,int8,int4] [--rows engine,served,long,256x16,itl]
 *         [--rounds 5] [--threads N]
 *         [--long-answer 64] [--engine-flags="--max-itl-ms 100"] [--no-baozi] [--json FILE]
 *     bun test/bench/peers.ts --model FILE.gguf     one model, without peers
 *
 * Peers are installed by tools/install_peers.sh; models are written and quantized here where they are not there yet.
 */
import { existsSync, writeFileSync } from "node:fs"
import { availableParallelism } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { formatNumber, formatTable } from "../../src/bench/report.ts"
import { median } from "../../src/bench/statistics.ts"
import { findDefaultModel } from "../../src/cli/default-model.ts"
import { executable } from "../e2e/executable.ts"
import { SHAPES, writeBenchModel } from "./bench-model.ts"
import { cpuModel, outputOf, type BenchModel, type Engine, type Format, type Work } from "./peers/engine.ts"
import { baozi, llamaQuantize, PEERS } from "./peers/engines.ts"
import { LONG_ANSWER, nameOf, parseRows, SERVED_ROWS, type Row } from "./peers/rows.ts"
import { freePort, measureServed } from "./peers/served.ts"

const { values: flags } = parseArgs({
  options: {
    "peers-dir": { type: "string" }, peers: { type: "string", default: "llama.cpp" }, model: { type: "string" },
    shapes: { type: "string", default: Object.keys(SHAPES).join(",") },
    formats: { type: "string", default: "bf16,int8,int4" }, rows: { type: "string", default: "engine,served" },
    "long-answer": { type: "string", default: String(LONG_ANSWER) }, rounds: { type: "string", default: "5" },
    threads: { type: "string", default: String(availableParallelism()) }, "engine-flags": { type: "string" },
    "no-baozi": { type: "boolean", default: false }, json: { type: "string" },
  },
})
const QUANTIZED = { int8: "Q8_0", int4: "Q4_0" } as const

function makeModel(peersDir: string, name: string, formats: readonly Format[]): BenchModel {
  const root = join(peersDir, "models")
  const bf16 = writeBenchModel(root, name)
  const gguf: Partial<Record<Format, string>> = { bf16 }
  for (const format of ["int8", "int4"] as const) {
    const path = bf16.replace("BF16", QUANTIZED[format])
    if (formats.includes(format) && !existsSync(path))
      outputOf([llamaQuantize(peersDir), "--pure", bf16, path, QUANTIZED[format]])
    gguf[format] = path
  }
  return { name, directory: join(root, name), gguf }
}

/** Each engine's figures of every round, by line of the table; and what failed, in words. */
const samples = new Map<string, Map<string, number[]>>()
const failures: string[] = []

async function oneTurn(engine: Engine, work: Work, rows: readonly Row[], path: string): Promise<void> {
  const longAnswer = Number(flags["long-answer"])
  const note = (row: Row, value: number | Error): void => {
    const line = `${work.model.name}, ${work.format}: ${nameOf(row, longAnswer)}`
    if (value instanceof Error) return void failures.push(`${engine.name}, ${line}: ${value.message}`)
    process.stderr.write(`  ${nameOf(row, longAnswer)}: ${formatNumber(value)}\n`)
    const byEngine = samples.get(line) ?? new Map<string, number[]>()
    samples.set(line, byEngine.set(engine.name, [...(byEngine.get(engine.name) ?? []), value]))
  }
  const { inProcess, serve } = engine
  const inside = rows.filter((row) => inProcess?.rows.includes(row))
  try {
    if (inside.length > 0) inProcess!.measure(work, inside, longAnswer, note)
  } catch (error) {
    failures.push(`${engine.name}, ${work.model.name}, ${work.format}: ${(error as Error).message}`)
  }
  const served = rows.filter((row) => SERVED_ROWS.includes(row))
  const port = freePort()
  if (serve !== null && served.length > 0)
    await measureServed(serve(work, port), { executable: path, port, rows: served, longAnswer, note })
}

async function measure(
  engines: readonly Engine[], models: readonly BenchModel[], formats: readonly Format[], path: string,
): Promise<void> {
  const [rounds, threads, rows] = [Number(flags.rounds), Number(flags.threads), parseRows(flags.rows)]
  for (let round = 0; round < rounds; round++)
    for (const model of models)
      for (const format of formats)
        for (const engine of engines.filter((one) => one.formats.includes(format))) {
          process.stderr.write(`round ${round + 1} of ${rounds}: ${model.name}, ${format}, ${engine.name}\n`)
          await oneTurn(engine, { model, format, threads }, rows, path)
        }
}

/** Lines of medians, and what ours is over the best peer's: more is better for rates, less for times. */
function describe(engines: readonly Engine[]): string {
  const names = engines.map(({ name }) => name)
  const rows = [...samples].map(([line, byEngine]) => {
    const medians = names.map((name) => median(byEngine.get(name) ?? []))
    const peers = medians.slice(1).filter(Number.isFinite)
    const best = line.endsWith("ms") ? Math.min(...peers) : Math.max(...peers)
    return [line, ...medians, peers.length > 0 ? (medians[0]! / best).toFixed(2) : "-"]
  })
  const failed = failures.map((failure) => `failed: ${failure}\n`)
  return [formatTable([["", ...names, "ours / best peer"], ...rows]), ...failed].join("")
}

const path = executable()
if (path === null) process.exit(1)
const engineFlags = flags["engine-flags"]?.split(" ") ?? []
const peersDir = flags["peers-dir"]
const engines = flags["no-baozi"] ? [] : [baozi(path, engineFlags)]
let models: BenchModel[]
let formats: Format[]
if (peersDir === undefined) {
  const gguf = flags.model ?? findDefaultModel()
  models = [{ name: gguf.slice(gguf.lastIndexOf("/") + 1), directory: gguf, gguf: { int4: gguf } }]
  formats = ["int4"]
} else {
  for (const name of flags.peers.split(",")) {
    const peer = PEERS[name]
    if (peer === undefined) throw new Error(`unknown peer ${name}; there are ${Object.keys(PEERS).join(", ")}`)
    engines.push(peer(peersDir))
  }
  formats = flags.formats.split(",") as Format[]
  models = flags.shapes.split(",").map((name) => makeModel(peersDir, name, formats))
}
await measure(engines, models, formats, path)
const machine = { cpu: cpuModel(), threads: Number(flags.threads), date: new Date().toISOString() }
process.stdout.write(`${machine.cpu}, ${machine.threads} threads, ${machine.date}, medians of ${flags.rounds}\n\n`)
process.stdout.write(describe(engines))
if (flags.json !== undefined) {
  const lines = Object.fromEntries([...samples].map(([line, byEngine]) => [line, Object.fromEntries(byEngine)]))
  writeFileSync(flags.json, `${JSON.stringify({ ...machine, samples: lines, failures }, null, 2)}\n`)
}
