/** What the comparison needs of an engine: its speeds without HTTP, and how it is started as a server. */
import { readFileSync } from "node:fs"
import { join } from "node:path"

export type Format = "bf16" | "int8" | "int4"

export interface BenchModel {
  readonly name: string
  /** Hugging Face's layout, and a GGUF file of each format. */
  readonly directory: string
  readonly gguf: Readonly<Partial<Record<Format, string>>>
}

export interface Speeds {
  /** Tokens a second: a prompt of 512 into an empty cache, and 128 tokens after a short one. */
  readonly prefill: number
  readonly decode: number
}

export interface Engine {
  readonly name: string
  readonly formats: readonly Format[]
  /** Null: it is measured over HTTP alone. */
  readonly speeds: ((model: BenchModel, format: Format, threads: number) => Speeds) | null
  readonly serve: (model: BenchModel, format: Format, threads: number, port: number) => readonly string[]
  readonly env: Readonly<Record<string, string>>
}

/** What a command writes to standard output. Errors: with its last words, where it fails. */
export function outputOf(command: readonly string[]): string {
  const result = Bun.spawnSync([...command], { stdin: "ignore", stderr: "pipe" })
  if (result.exitCode !== 0) throw new Error(`${command.join(" ")}:\n${result.stderr.toString().slice(-2000)}`)
  return result.stdout.toString()
}

/** `engineFlags` are flags of `baozi serve` and of `baozi bench latency`. */
export function baozi(executable: string, engineFlags: readonly string[]): Engine {
  const latency = (gguf: string, threads: number, inputLen: number, outputLen: number) => {
    const work = ["--input-len", inputLen, "--output-len", outputLen, "--batch-size", 1, "--seed", Date.now() % 2 ** 31]
    const runs = ["--num-iters", 1, "--num-iters-warmup", 1, "--max-model-len", 1024, "--threads", threads]
    const words = [executable, "bench", "latency", gguf, ...work, ...runs, "--json", "-", ...engineFlags]
    return JSON.parse(outputOf(words.map(String))) as Record<"prefill" | "decode", { tokensPerSecond: number }>
  }
  return {
    name: "baozi", formats: ["bf16", "int8", "int4"], env: {},
    speeds: (model, format, threads) => ({
      prefill: latency(model.gguf[format]!, threads, 512, 1).prefill.tokensPerSecond,
      decode: latency(model.gguf[format]!, threads, 8, 129).decode.tokensPerSecond,
    }),
    serve: (model, format, threads, port) => [
      executable, "serve", model.gguf[format]!, "--port", String(port), "--threads", String(threads),
      "--max-model-len", "4096", "--log-level", "warning", ...engineFlags,
    ],
  }
}

export function llamaCpp(peersDir: string): Engine {
  const bin = join(peersDir, "lcpb/bin")
  return {
    name: "llama.cpp", formats: ["bf16", "int8", "int4"], env: {},
    speeds: (model, format, threads) => {
      const work = ["-p", 512, "-n", 128, "-t", threads, "-r", 1, "-o", "json"]
      const words = [join(bin, "llama-bench"), "-m", model.gguf[format]!, ...work]
      const runs = JSON.parse(outputOf(words.map(String))) as { n_prompt: number; n_gen: number; avg_ts: number }[]
      return {
        prefill: runs.find((run) => run.n_prompt === 512 && run.n_gen === 0)!.avg_ts,
        decode: runs.find((run) => run.n_gen === 128 && run.n_prompt === 0)!.avg_ts,
      }
    },
    // One pool of cells for all slots: as many requests at once as the work asks for, whatever their lengths.
    serve: (model, format, threads, port) => [
      join(bin, "llama-server"), "-m", model.gguf[format]!, "-t", String(threads), "--port", String(port), "-np", "64",
      "-c", "24576", "--kv-unified", "--no-webui",
    ],
  }
}

export function vllm(peersDir: string): Engine {
  return {
    name: "vllm", formats: ["bf16"], speeds: null, env: { VLLM_CPU_KVCACHE_SPACE: "2" },
    serve: (model, _format, _threads, port) => [
      join(peersDir, "v/bin/vllm"), "serve", model.directory, "--port", String(port), "--dtype", "bfloat16",
      "--max-model-len", "4096", "--max-num-seqs", "64",
    ],
  }
}

/** OpenVINO GenAI has no server in its package: it is measured in its process. */
export function openvino(peersDir: string): Engine {
  const script = join(import.meta.dir, "openvino_speeds.py")
  return {
    name: "openvino", formats: ["int8"], env: {},
    speeds: (model, format, threads) =>
      JSON.parse(outputOf([join(peersDir, "ov/bin/python"), script, model.gguf[format]!, String(threads)])) as Speeds,
    serve: () => [],
  }
}

export function cpuModel(): string {
  return /^model name\s*: (.+)$/m.exec(readFileSync("/proc/cpuinfo", "utf8"))?.[1] ?? "unknown"
}
