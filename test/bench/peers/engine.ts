/** What the comparison needs of an engine: figures it makes in its own process, and how it is started as a server. */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { streamOf, type Row } from "./rows.ts"

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
  /** Where it answers once it is ready (default: /health). */
  readonly healthPath?: string
  /** What requests call the model, where /v1/models does not say it. */
  readonly model?: string
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

export interface Script {
  /** Beside this file. */
  readonly file: string
  readonly python: string
  readonly rows: readonly Row[]
  readonly pathOf: (work: Work) => string
  readonly env?: (work: Work) => Readonly<Record<string, string>>
}

/**
 * Of a script that prints {"row": ..., "value": ...} a line, among whatever else its engine says. It is given
 * MODEL THREADS ROWS LONG_ANSWER STARTED_MS: rows of one stream with their lengths, as name:tokens in:tokens decoded,
 * and when it was started, in Unix milliseconds.
 */
export function scripted({ file, python, rows, pathOf, env = () => ({}) }: Script): InProcess {
  return {
    rows,
    measure: (work, wanted, longAnswer, note) => {
      const options = [work.threads, wanted.map(withLengths).join(","), longAnswer, Date.now()]
      const words = [join(import.meta.dir, file), pathOf(work), ...options]
      const { exitCode, stdout, stderr } = run([python, ...words.map(String)], env(work))
      for (const line of stdout.split("\n").filter((text) => text.startsWith('{"row"'))) {
        const { row, value } = JSON.parse(line) as { row: Row; value: number }
        note(row, value)
      }
      if (exitCode !== 0) throw new Error(`${file} ended with ${exitCode}: ${stderr.trim().slice(-500)}`)
    },
  }
}

function withLengths(row: Row): string {
  const stream = streamOf(row)
  return stream === null ? row : `${row}:${stream.inputLen}:${stream.numDecoded}`
}

export function cpuModel(): string {
  return /^model name\s*: (.+)$/m.exec(cpuInfo())?.[1] ?? "unknown"
}

/** Whether the processor has instructions for products of bfloat16. */
export function hasBfloat16(): boolean {
  return /\b(avx512_bf16|amx_bf16|bf16)\b/.test(cpuInfo())
}

function cpuInfo(): string {
  return readFileSync("/proc/cpuinfo", "utf8")
}
