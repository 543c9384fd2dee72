/**
 * What `baozi bench` measures and the flags of each measurement, spelled as `vllm bench` spells them. A command adds to
 * its own flags those of `baozi serve` in the groups it names.
 */
import { ConfigError } from "../base/errors.ts"
import type { CommandSpec } from "./add-command.ts"
import { optional, several, toggle, toggleOn, value, type Flag, type ValuesOf } from "./flags.ts"
import { integer, jsonObject, oneOf, text, type ParseValue } from "./parse-values.ts"
import { MACHINE, MEMORY, MODEL, SCHEDULER, type ServeConfig } from "./serve-options.ts"

const WORK = "Work:"
const SERVER = "Server:"
const OUTPUT = "Output:"
const ENGINE = [MODEL, SCHEDULER, MEMORY, MACHINE]
const count = integer({ min: 1 })
const countOrNone = integer({ min: 0 })

const json = optional(OUTPUT, "--json <file>", text,
  "write the figures as JSON too; - is standard output, without the table")
const seed = value(WORK, "--seed <number>", 0, integer({ min: 0, max: 2 ** 32 - 1 }), "seed of everything random")

const DATASET = {
  datasetName: value<"random" | "prefix-repetition" | "custom">(WORK, "--dataset-name <name>", "random", datasetName,
    "random tokens; prompts that share prefixes; or a file with an object that has a prompt on each line"),
  datasetPath: optional(WORK, "--dataset-path <file>", text, "the file of --dataset-name custom"),
  randomInputLen: value(WORK, "--random-input-len <tokens>", 1024, count, "tokens of a random prompt"),
  randomOutputLen: value(WORK, "--random-output-len <tokens>", 128, count, "tokens of its answer"),
  randomRangeRatio: value(WORK, "--random-range-ratio <share>", 0, shareBelowOne,
    "lengths are uniform from (1 - ratio) to (1 + ratio) times those"),
  randomPrefixLen: value(WORK, "--random-prefix-len <tokens>", 0, countOrNone,
    "tokens before them, the same in all prompts"),
  prefixRepetitionPrefixLen: value(WORK, "--prefix-repetition-prefix-len <tokens>", 256, count,
    "tokens of a shared prefix"),
  prefixRepetitionSuffixLen: value(WORK, "--prefix-repetition-suffix-len <tokens>", 256, count, "tokens after it"),
  prefixRepetitionNumPrefixes: value(WORK, "--prefix-repetition-num-prefixes <number>", 10, count,
    "prefixes to draw from"),
  prefixRepetitionOutputLen: value(WORK, "--prefix-repetition-output-len <tokens>", 128, count, "tokens of an answer"),
  customOutputLen: value(WORK, "--custom-output-len <tokens>", 256, count,
    "tokens of an answer, where the file names none"),
}

/** A text, and the windows that slide over it. */
const TEXT = {
  file: optional(WORK, "--file <path>", text, "the text, in UTF-8; needed"),
  contextLen: value(WORK, "--context-len <tokens>", 512, integer({ min: 2 }), "tokens in a window"),
  stride: optional(WORK, "--stride <tokens>", count,
    "tokens between the starts of two windows (default: half a window)"),
  maxTokens: optional(WORK, "--max-tokens <tokens>", integer({ min: 2 }), "tokens to read (default: the whole text)"),
}

function datasetName(word: string, flag: string): "random" | "prefix-repetition" | "custom" {
  const name = word.replaceAll("_", "-")
  return oneOf("random", "prefix-repetition", "custom")(name === "shared-prefix" ? "prefix-repetition" : name, flag)
}

/** A number above zero, or "inf". */
const rate: ParseValue<number> = (word, flag) => {
  const number = word === "inf" ? Infinity : Number(word)
  if (number > 0) return number
  throw new ConfigError(`${flag} is ${JSON.stringify(word)}, but must be more than 0, or inf`)
}

/** Each word of a comma-separated list, checked. */
function listOf<T>(parse: ParseValue<T>): ParseValue<readonly T[]> {
  return (words, flag) => words.split(",").map((word) => parse(word.trim(), flag))
}

const percentage: ParseValue<number> = (word, flag) => {
  const number = Number(word)
  if (word !== "" && number >= 0 && number <= 100) return number
  throw new ConfigError(`${flag} has ${JSON.stringify(word)}, but percentiles are from 0 to 100`)
}

const goodLimit: ParseValue<string> = (word, flag) => {
  if (/^(ttft|tpot|e2el):\d+(\.\d+)?$/.test(word)) return word
  throw new ConfigError(`${flag} has ${JSON.stringify(word)}, but takes ttft:200, tpot:50 and e2el:1000 (in ms)`)
}

const keyValue: ParseValue<string> = (word, flag) => {
  if (/^[^=\s]+=/.test(word)) return word
  throw new ConfigError(`${flag} has ${JSON.stringify(word)}, but takes KEY=VALUE`)
}

const backend: ParseValue<"openai" | "openai-chat"> = (word, flag) =>
  oneOf("openai", "openai-chat")(word === "vllm" ? "openai" : word, flag)

type ServeMetricName = "ttft" | "tpot" | "itl" | "e2el" | "client_queue_time" | "e2el_including_client_queue"
const serveMetric = oneOf("ttft", "tpot", "itl", "e2el", "client_queue_time", "e2el_including_client_queue")

function shareBelowOne(word: string, flag: string): number {
  const number = Number(word)
  if (word.trim() !== "" && number >= 0 && number < 1) return number
  throw new ConfigError(`${flag} is ${JSON.stringify(word)}, but must be at least 0 and less than 1`)
}

export const BENCH_COMMANDS = {
  limits: {
    summary: "upper limits of this machine: memory reads, products",
    description: "Measures how fast all threads together read memory, from cache to 1 GiB, and how many " +
      "multiply-adds they do.",
    groups: [MACHINE],
    flags: {
      maxBytes: value(WORK, "--max-bytes <bytes>", 2 ** 30, integer({ min: 2 ** 15 }),
        "largest buffer to read; a quarter of the free memory at most"),
      json,
    },
  },
  latency: {
    summary: "latency of one batch of requests, repeated",
    description: "Runs a batch of requests of the same lengths through the engine, without HTTP, and times it.",
    groups: ENGINE,
    flags: {
      inputLen: value(WORK, "--input-len <tokens>", 32, count, "tokens of a prompt"),
      outputLen: value(WORK, "--output-len <tokens>", 128, count, "tokens of an answer"),
      batchSize: value(WORK, "--batch-size <requests>", 8, count, "requests at once"),
      numItersWarmup: value(WORK, "--num-iters-warmup <number>", 10, countOrNone, "iterations before timing"),
      numIters: value(WORK, "--num-iters <number>", 30, count, "timed iterations"),
      seed, json,
    },
  },
  throughput: {
    summary: "throughput of many requests",
    description: "Sends all requests to the engine at once, without HTTP, and times them.",
    groups: ENGINE,
    flags: {
      numPrompts: value(WORK, "--num-prompts <number>", 1000, count, "requests"),
      ...DATASET, seed, json,
    },
  },
  perplexity: {
    summary: "perplexity of a model over a text",
    description: "Prints the model's perplexity over a text, by sliding windows: the loss of a format of the " +
      "weights or of the activations.",
    groups: ENGINE,
    flags: { ...TEXT, json },
  },
  fidelity: {
    summary: "deviation of a model from itself in float32",
    description: "Compares the model's next-token distributions over a text with those of the same weights computed " +
      "in float32 without --quantization: the change of the next token's probability, KL divergence, the share of " +
      "positions with the same top token, and perplexity. Both models are in memory at once.",
    groups: ENGINE,
    flags: { ...TEXT, json },
  },
  engine: {
    summary: "cost of everything but the arithmetic",
    description: "Runs requests over a backend that computes nothing: the cost of a step on the engine's thread, and " +
      "of a token with each layer on top, up to the events sent.",
    groups: ENGINE,
    flags: {
      streams: value<readonly number[]>(WORK, "--streams <numbers>", [16, 256], listOf(count),
        "concurrent requests, beside one alone (default: 16,256)"),
      inputLen: value(WORK, "--input-len <tokens>", 32, count, "tokens of a prompt"),
      outputLen: value(WORK, "--output-len <tokens>", 256, count, "tokens of an answer"),
      rounds: value(WORK, "--rounds <number>", 5, count, "runs of each; figures are medians"),
      seed, json,
    },
  },
  scale: {
    summary: "cost of a step as batch, context, queue and cache grow",
    description: "Measures the engine's steps as one thing grows: the batch and the context with the model, waiting " +
      "requests and KV blocks with a backend that computes nothing.",
    groups: ENGINE,
    flags: {
      maxBatch: value(WORK, "--max-batch <requests>", 256, count, "largest batch"),
      maxContext: value(WORK, "--max-context <tokens>", 32 * 1024, integer({ min: 128 }),
        "longest context, capped by the model's limit"),
      maxWaiting: value(WORK, "--max-waiting <requests>", 10_000, count, "most waiting requests"),
      maxBlocks: value(WORK, "--max-blocks <blocks>", 1_000_000, integer({ min: 100 }), "most KV blocks"),
      numSteps: value(WORK, "--num-steps <number>", 8, count, "steps that a figure is the median of"),
      plotDir: optional(OUTPUT, "--plot-dir <path>", text, "directory to write a plot of each to, as SVG"),
      seed, json,
    },
  },
  serve: {
    summary: "a running server, measured from a client",
    description: "Sends requests to any server with OpenAI's API and times its streams, as `vllm bench serve` does.",
    groups: [],
    flags: {
      backend: value<"openai" | "openai-chat">(SERVER, "--backend <name>", "openai", backend,
        "openai, completions; openai-chat, chat completions"),
      baseUrl: optional(SERVER, "--base-url <url>", text, "the server (default: --host and --port)"),
      host: value(SERVER, "--host <address>", "127.0.0.1", text, "its address"),
      port: value(SERVER, "--port <number>", 8000, integer({ min: 1, max: 65535 }), "its port"),
      endpoint: optional(SERVER, "--endpoint <path>", text,
        "path of the API (default: /v1/completions or /v1/chat/completions)"),
      model: optional(SERVER, "--model <name>", text, "the model's name there (default: the first that it names)"),
      header: several(SERVER, "--header <key=value...>", keyValue,
        "headers of every request; OPENAI_API_KEY is sent as a bearer token"),
      extraBody: value<Readonly<Record<string, unknown>>>(SERVER, "--extra-body <json>", {}, jsonObject,
        "further fields of every request"),
      tokenizer: optional(SERVER, "--tokenizer <path>", text,
        "model whose tokenizer makes texts of random tokens (default: they go out as ids; chats ask the server)"),
      vocabSize: value(SERVER, "--vocab-size <tokens>", 30000, integer({ min: 2 }),
        "without a tokenizer, random ids are below this"),

      numPrompts: value(WORK, "--num-prompts <number>", 1000, count, "requests"),
      requestRate: value(WORK, "--request-rate <number>", Infinity, rate, "requests a second; inf sends all at once"),
      burstiness: value(WORK, "--burstiness <number>", 1, rate,
        "shape of the gamma distribution of the gaps: 1 is a Poisson process, more is steadier, inf a fixed gap"),
      maxConcurrency: optional(WORK, "--max-concurrency <number>", count, "maximum concurrent requests"),
      numWarmups: value(WORK, "--num-warmups <number>", 0, countOrNone, "warm-up requests"),
      readyCheckTimeoutSec: value(WORK, "--ready-check-timeout-sec <seconds>", 0, countOrNone,
        "time to retry a request until one succeeds; 0 does not try"),
      ignoreEos: toggle(WORK, "--ignore-eos", "generate to the full length; always the case with random prompts"),
      ...DATASET, seed,

      shareOfLimits: toggleOn(OUTPUT, "--share-of-limits",
        "compare the figures of a server on this machine with its limits of memory and products, measured right after"),
      weights: optional(OUTPUT, "--weights <path>", text,
        "the served model's files, for the cost of a token (default: the path that the server reports)"),
      percentileMetrics: value<readonly ServeMetricName[]>(OUTPUT, "--percentile-metrics <names>",
        ["ttft", "tpot", "itl"], listOf(serveMetric), "which of ttft, tpot, itl, e2el, client_queue_time, " +
          "e2el_including_client_queue to show (default: ttft,tpot,itl)"),
      metricPercentiles: value<readonly number[]>(OUTPUT, "--metric-percentiles <numbers>", [99], listOf(percentage),
        "percentiles of each (default: 99)"),
      goodput: several(OUTPUT, "--goodput <metric:ms...>", goodLimit,
        "goodput limits that a request must meet together: ttft:200 tpot:50 e2el:1000"),
      saveResult: toggle(OUTPUT, "--save-result", "write the figures to a file of vLLM's form and name"),
      saveDetailed: toggle(OUTPUT, "--save-detailed", "with those of every request"),
      resultDir: optional(OUTPUT, "--result-dir <path>", text, "directory of that file"),
      resultFilename: optional(OUTPUT, "--result-filename <name>", text, "its name"),
      label: optional(OUTPUT, "--label <text>", text, "what its name begins with (default: the backend)"),
      metadata: several(OUTPUT, "--metadata <key=value...>", keyValue, "entries of that file"),
      json,
    },
  },
} as const satisfies Record<string, CommandSpec>

export type BenchName = keyof typeof BENCH_COMMANDS

/** A command's own flags, and those of the engine with its model. */
export type BenchConfig<N extends BenchName> = ValuesOf<(typeof BENCH_COMMANDS)[N]["flags"]> & {
  readonly engine: ServeConfig
}

/** What each command does. Each resolves with the exit code. */
export type BenchActions = { readonly [N in BenchName]: (config: BenchConfig<N>) => Promise<number> }
