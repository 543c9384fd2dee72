/** Baozi and its peers, each as tools/install_peers.sh installs it. */
import { existsSync } from "node:fs"
import { join } from "node:path"
import { hasBfloat16, outputOf, scripted, type Engine, type Work } from "./engine.ts"
import { isPrefill, ROWS, STREAM_ROWS, streamOf, type Row, type Stream } from "./rows.ts"

const LLAMA_CPP_BUILDS = { "llama.cpp": "lcpb", "llama.cpp-bin": "lcbb" } as const

/** By name, each of the directory that peers are installed into. */
export const PEERS: Readonly<Record<string, (dir: string) => Engine>> = {
  "llama.cpp": (dir) => llamaCpp("llama.cpp", dir), "llama.cpp-bin": (dir) => llamaCpp("llama.cpp-bin", dir), vllm,
  openvino, "mistral.rs": mistralRs, "amd-pace": amdPace,
}

/** The rows by the run that gives them: those of the same lengths are of the same one. */
function byRun(rows: readonly Row[]): Map<Stream, Row[]> {
  const runs = new Map<string, [Stream, Row[]]>()
  for (const row of rows) {
    const stream = streamOf(row)!
    const key = `${stream.inputLen}:${stream.numDecoded}`
    runs.set(key, [stream, [...(runs.get(key)?.[1] ?? []), row]])
  }
  return new Map(runs.values())
}

/** Of prompts this long, nothing is run once before: it would take as long again, and the first run is as good. */
const isLong = ({ inputLen }: Stream) => inputLen > 4096

/** `engineFlags` are flags of `baozi serve` and of `baozi bench latency`. */
export function baozi(executable: string, engineFlags: readonly string[]): Engine {
  const latency = ({ model, format, threads }: Work, stream: Stream) => {
    const { inputLen, numDecoded } = stream
    const work = ["--input-len", inputLen, "--output-len", numDecoded + 1, "--batch-size", 1]
    const runs = ["--num-iters", 1, "--num-iters-warmup", isLong(stream) ? 0 : 1, "--seed", Date.now() % 2 ** 31]
    const place = ["--max-model-len", Math.max(1024, inputLen + numDecoded + 1), "--threads", threads]
    const words = [
      executable, "bench", "latency", model.gguf[format]!, ...work, ...runs, ...place, "--json", "-", ...engineFlags,
    ]
    return JSON.parse(outputOf(words.map(String))) as Record<"prefill" | "decode", { tokensPerSecond: number }>
  }
  return {
    name: ["baozi", ...engineFlags].join(" "), formats: ["bf16", "int8", "int4"],
    inProcess: {
      rows: STREAM_ROWS,
      measure: (work, rows, _longAnswer, note) => {
        for (const [stream, ofIt] of byRun(rows)) {
          const { prefill, decode } = latency(work, stream)
          for (const row of ofIt) note(row, (isPrefill(row) ? prefill : decode).tokensPerSecond)
        }
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

function llamaCpp(name: keyof typeof LLAMA_CPP_BUILDS, peersDir: string): Engine {
  const bin = join(peersDir, LLAMA_CPP_BUILDS[name], "bin")
  /** It times prompts and answers one by one; what comes before an answer is its depth, which is not timed. */
  const bench = ({ model, format, threads }: Work, stream: Stream, row: Row): number => {
    const { inputLen, numDecoded } = stream
    const lengths = isPrefill(row)
      ? ["-p", inputLen, "-n", 0]
      : ["-p", 0, "-n", numDecoded, "-d", isLong(stream) ? inputLen : 0]
    const work = [...lengths, "-t", threads, "-r", 1, ...(isLong(stream) ? ["--no-warmup"] : []), "-o", "json"]
    const words = [join(bin, "llama-bench"), "-m", model.gguf[format]!, ...work]
    return (JSON.parse(outputOf(words.map(String))) as [{ avg_ts: number }])[0].avg_ts
  }
  return {
    name, formats: ["bf16", "int8", "int4"],
    inProcess: {
      rows: STREAM_ROWS,
      measure: (work, rows, _longAnswer, note) => {
        for (const row of rows) note(row, bench(work, streamOf(row)!, row))
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

/** Of any llama.cpp that is there. Errors: none is. */
export function llamaQuantize(peersDir: string): string {
  const paths = Object.values(LLAMA_CPP_BUILDS).map((build) => join(peersDir, build, "bin/llama-quantize"))
  const path = paths.find((one) => existsSync(one))
  if (path === undefined) throw new Error(`${paths.join(" or ")} is needed to quantize models: install llama.cpp`)
  return path
}

/**
 * It reads no int8 of GGUF: beside int8 it is measured with the same weights in bfloat16, or in float32 where the
 * processor has no instruction for bfloat16 and that is the faster one by far.
 */
function vllm(peersDir: string): Engine {
  const home = join(peersDir, "v")
  const dtype = hasBfloat16() ? "bfloat16" : "float32"
  // As its documentation has it for CPUs: one thread a processor, and Intel's OpenMP, which its wheel brings.
  // Without the first variable it takes a library that needs AVX-512.
  const env = ({ threads }: Work) => ({
    VLLM_TARGET_DEVICE: "cpu", VLLM_CPU_KVCACHE_SPACE: "2", VLLM_CPU_OMP_THREADS_BIND: `0-${threads - 1}`,
    HF_HUB_OFFLINE: "1", VLLM_NO_USAGE_STATS: "1", LD_PRELOAD: join(home, "lib/libiomp5.so"),
    PATH: `${join(home, "bin")}:${process.env["PATH"]}`,
  })
  return {
    name: `vllm (${dtype})`, formats: ["bf16", "int8"],
    inProcess: scripted({
      file: "vllm_rows.py", python: join(home, "bin/python"), rows: STREAM_ROWS, pathOf: ({ model }) => model.directory,
      env: (work) => ({ ...env(work), VLLM_ENABLE_V1_MULTIPROCESSING: "0", BENCH_DTYPE: dtype }),
    }),
    serve: (work, port) => ({
      words: [
        join(home, "bin/vllm"), "serve", work.model.directory, "--port", String(port), "--host", "127.0.0.1", "--dtype",
        dtype, "--max-model-len", "4096", "--max-num-seqs", "64",
      ],
      env: env(work),
    }),
  }
}

/** OpenVINO GenAI has no server in its package: all rows are measured in its process, without HTTP. */
function openvino(peersDir: string): Engine {
  return {
    name: "openvino", formats: ["int8"], serve: null,
    inProcess: scripted({
      file: "openvino_rows.py", python: join(peersDir, "ov/bin/python"), rows: ROWS,
      pathOf: ({ model, format }) => model.gguf[format]!,
    }),
  }
}

/** Nor has mistral.rs in its Python package. It reads bfloat16 from safetensors alone. */
function mistralRs(peersDir: string): Engine {
  return {
    name: "mistral.rs", formats: ["bf16", "int8", "int4"], serve: null,
    inProcess: scripted({
      file: "mistralrs_rows.py", python: join(peersDir, "ov/bin/python"), rows: STREAM_ROWS,
      pathOf: ({ model, format }) => (format === "bf16" ? model.directory : model.gguf[format]!),
      env: ({ threads }) => ({ RAYON_NUM_THREADS: String(threads) }),
    }),
  }
}

/** It computes in bfloat16 alone, and only on processors with AVX512_BF16. */
function amdPace(peersDir: string): Engine {
  const python = join(peersDir, "pace/bin/python")
  const env = { HF_HUB_OFFLINE: "1" }
  return {
    name: "amd-pace", formats: ["bf16"],
    inProcess: scripted({
      file: "amd_pace_rows.py", python, rows: STREAM_ROWS, pathOf: ({ model }) => model.directory,
      env: ({ threads }) => ({ ...env, OMP_NUM_THREADS: String(threads), OMP_WAIT_POLICY: "active" }),
    }),
    serve: ({ model, threads }, port) => ({
      words: [python, join(import.meta.dir, "amd_pace_server.py"), model.directory, String(threads), String(port)],
      env, healthPath: "/v1/health", model: model.directory,
    }),
  }
}
