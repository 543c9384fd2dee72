/** What the comparison needs of an engine: figures it makes in its own process, and how it is started as a server. */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { ENGINE_ROWS, ROWS, type Row } from "./rows.ts"

export type Format = "bf16" | "int8" | "int4"

export interface BenchModel {
  readonly name: string
  /** Hugging Face's layout, and a GGUF file of each format. */
  readonly directory: string
  readonly gguf: Readonly<Partial<Record<Format, string>>>
}

export interface Work {
  readonly model: BenchModel
  readonly format: Format
  readonly threads: number
}

export interface InProcess {
  readonly rows: readonly Row[]
  /** Notes each figure as it comes. Errors: with the last words of the process that fails. */
  measure(work: Work, rows: readonly Row[], longAnswer: number, note: (row: Row, value: number) => void): void
}

export interface ServerCommand {
  readonly words: readonly string[]
  readonly env?: Readonly<Record<string, string>>
}

export interface Engine {
  readonly name: string
  /** What it is asked for. Its name says where it computes in something else. */
  readonly formats: readonly Format[]
  readonly inProcess: InProcess | null
  readonly serve: ((work: Work, port: number) => ServerCommand) | null
}

/** What a command writes to standard output. Errors: with its last words, where it fails. */
export function outputOf(command: readonly string[], env: Readonly<Record<string, string>> = {}): string {
  const { exitCode, stdout, stderr } = run(command, env)
  if (exitCode !== 0) throw new Error(`${command.join(" ")}:\n${stderr.slice(-2000)}`)
  return stdout
}

function run(command: readonly string[], env: Readonly<Record<string, string>>) {
  const result = Bun.spawnSync([...command], { stdin: "ignore", stderr: "pipe", env: { ...process.env, ...env } })
  return { exitCode: result.exitCode, stdout: result.stdout.toString(), stderr: result.stderr.toString() }
}

/** Of a script that prints {"row": ..., "value": ...} a line, among whatever else its engine says. */
function scripted(script: string, python: string, pathOf: (work: Work) => string, rows: readonly Row[]): InProcess {
  return {
    rows,
    measure: (work, wanted, longAnswer, note) => {
      const options = [work.threads, wanted.join(","), longAnswer, Date.now()]
      const words = [join(import.meta.dir, script), pathOf(work), ...options]
      const env = { RAYON_NUM_THREADS: String(work.threads) }
      const { exitCode, stdout, stderr } = run([python, ...words.map(String)], env)
      for (const line of stdout.split("\n").filter((text) => text.startsWith('{"row"'))) {
        const { row, value } = JSON.parse(line) as { row: Row; value: number }
        note(row, value)
      }
      if (exitCode !== 0) throw new Error(`${script} ended with ${exitCode}: ${stderr.trim().slice(-500)}`)
    },
  }
}

/** `engineFlags` are flags of `baozi serve` and of `baozi bench latency`. */
export function baozi(executable: string, engineFlags: readonly string[]): Engine {
  const latency = ({ model, format, threads }: Work, inputLen: number, outputLen: number) => {
    const work = ["--input-len", inputLen, "--output-len", outputLen, "--batch-size", 1, "--seed", Date.now() % 2 ** 31]
    const runs = ["--num-iters", 1, "--num-iters-warmup", 1, "--max-model-len", 1024, "--threads", threads]
    const words = [executable, "bench", "latency", model.gguf[format]!, ...work, ...runs, "--json", "-", ...engineFlags]
    return JSON.parse(outputOf(words.map(String))) as Record<"prefill" | "decode", Phase>
  }
  return {
    name: ["baozi", ...engineFlags].join(" "), formats: ["bf16", "int8", "int4"],
    inProcess: {
      rows: ENGINE_ROWS,
      measure: (work, rows, _longAnswer, note) => {
        if (rows.includes("prefill")) note("prefill", latency(work, 512, 1).prefill.tokensPerSecond)
        if (rows.includes("decode")) note("decode", latency(work, 8, 129).decode.tokensPerSecond)
      },
    },
    serve: ({ model, format, threads }, port) => ({
      words: [
        executable, "serve", model.gguf[format]!, "--port", String(port), "--threads", String(threads),
        "--max-model-len", "4096", "--log-level", "warning", ...engineFlags,
      ],
    }),
  }
}

interface Phase {
  readonly tokensPerSecond: number
}

export function llamaCpp(peersDir: string): Engine {
  const bin = join(peersDir, "lcpb/bin")
  const bench = ({ model, format, threads }: Work, promptLen: number, outputLen: number): number => {
    const work = ["-p", promptLen, "-n", outputLen, "-t", threads, "-r", 1, "-o", "json"]
    const words = [join(bin, "llama-bench"), "-m", model.gguf[format]!, ...work]
    return (JSON.parse(outputOf(words.map(String))) as [{ avg_ts: number }])[0].avg_ts
  }
  return {
    name: "llama.cpp", formats: ["bf16", "int8", "int4"],
    inProcess: {
      rows: ENGINE_ROWS,
      measure: (work, rows, _longAnswer, note) => {
        if (rows.includes("prefill")) note("prefill", bench(work, 512, 0))
        if (rows.includes("decode")) note("decode", bench(work, 0, 128))
      },
    },
    // One pool of cells for all slots: as many requests at once as the rows ask for, whatever their lengths. Slots keep
    // what they computed, and a pool without room for all of it fails requests with "Context size has been exceeded".
    serve: ({ model, format, threads }, port) => ({
      words: [
        join(bin, "llama-server"), "-m", model.gguf[format]!, "-t", String(threads), "--port", String(port),
        "-np", "64", "-c", "32768", "--kv-unified", "--no-webui",
      ],
    }),
  }
}

/**
 * It reads no int8 of GGUF: beside int8 it is measured with the same weights in bfloat16, or in float32 where the
 * processor has no instruction for bfloat16 and that is the faster one by far.
 */
export function vllm(peersDir: string): Engine {
  const home = join(peersDir, "v")
  const dtype = /\b(avx512_bf16|amx_bf16|bf16)\b/.test(cpuInfo()) ? "bfloat16" : "float32"
  return {
    name: `vllm (${dtype})`, formats: ["bf16", "int8"], inProcess: null,
    serve: ({ model, threads }, port) => ({
      words: [
        join(home, "bin/vllm"), "serve", model.directory, "--port", String(port), "--host", "127.0.0.1", "--dtype",
        dtype, "--max-model-len", "4096", "--max-num-seqs", "64",
      ],
      // As its documentation has it for CPUs: one thread a processor, and Intel's OpenMP, which its wheel brings.
      // Without the first variable it takes a library that needs AVX-512.
      env: {
        VLLM_TARGET_DEVICE: "cpu", VLLM_CPU_KVCACHE_SPACE: "2", VLLM_CPU_OMP_THREADS_BIND: `0-${threads - 1}`,
        HF_HUB_OFFLINE: "1", VLLM_NO_USAGE_STATS: "1", LD_PRELOAD: join(home, "lib/libiomp5.so"),
        PATH: `${join(home, "bin")}:${process.env["PATH"]}`,
      },
    }),
  }
}

/** OpenVINO GenAI has no server in its package: all rows are measured in its process, without HTTP. */
export function openvino(peersDir: string): Engine {
  const gguf = ({ model, format }: Work) => model.gguf[format]!
  return {
    name: "openvino", formats: ["int8"], serve: null,
    inProcess: scripted("openvino_rows.py", join(peersDir, "ov/bin/python"), gguf, ROWS),
  }
}

/** Nor has mistral.rs in its Python package. It reads bfloat16 from safetensors alone. */
export function mistralRs(peersDir: string): Engine {
  const path = ({ model, format }: Work) => (format === "bf16" ? model.directory : model.gguf[format]!)
  return {
    name: "mistral.rs", formats: ["bf16", "int8", "int4"], serve: null,
    inProcess: scripted("mistralrs_rows.py", join(peersDir, "ov/bin/python"), path, ENGINE_ROWS),
  }
}

export function cpuModel(): string {
  return /^model name\s*: (.+)$/m.exec(cpuInfo())?.[1] ?? "unknown"
}

function cpuInfo(): string {
  return readFileSync("/proc/cpuinfo", "utf8")
}
