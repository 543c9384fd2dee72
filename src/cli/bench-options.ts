/**
 * What `baozi bench` measures and the flags of each measurement, spelled as `vllm bench` spells them. A command adds to
 * its own flags those of `baozi serve` in the groups it names.
 */
import { ConfigError } from "../base/errors.ts"
import { optional, value, type Flag, type ValuesOf } from "./flags.ts"
import { integer, oneOf, text } from "./parse-values.ts"
import { MACHINE, MEMORY, MODEL, SCHEDULER, type ServeConfig } from "./serve-options.ts"

export interface BenchCommand {
  readonly summary: string
  readonly description: string
  /** Of the flags of `serve`; with "Model:" the command takes a model. */
  readonly groups: readonly string[]
  readonly flags: Readonly<Record<string, Flag<unknown>>>
}

const WORK = "Work:"
const OUTPUT = "Output:"
const ENGINE = [MODEL, SCHEDULER, MEMORY, MACHINE]
const count = integer({ min: 1 })
const countOrNone = integer({ min: 0 })

const json = optional(OUTPUT, "--json <file>", text,
  "write the figures as JSON too; - is standard output, without the table")
const seed = value(WORK, "--seed <number>", 0, integer({ min: 0, max: 2 ** 32 - 1 }), "of everything that is drawn")

const DATASET = {
  datasetName: value<"random" | "prefix-repetition" | "custom">(WORK, "--dataset-name <name>", "random",
    oneOf("random", "prefix-repetition", "custom"),
    "random tokens; prompts that share prefixes; or a file with an object that has a prompt on each line"),
  datasetPath: optional(WORK, "--dataset-path <file>", text, "the file of --dataset-name custom"),
  randomInputLen: value(WORK, "--random-input-len <tokens>", 1024, count, "tokens of a random prompt"),
  randomOutputLen: value(WORK, "--random-output-len <tokens>", 128, count, "tokens of its answer"),
  randomRangeRatio: value(WORK, "--random-range-ratio <share>", 0, shareBelowOne,
    "lengths are drawn evenly from (1 - ratio) to (1 + ratio) times those"),
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

function shareBelowOne(word: string, flag: string): number {
  const number = Number(word)
  if (word.trim() !== "" && number >= 0 && number < 1) return number
  throw new ConfigError(`${flag} is ${JSON.stringify(word)}, but must be at least 0 and less than 1`)
}

export const BENCH_COMMANDS = {
  limits: {
    summary: "what this machine can do at most: memory reads, products",
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
    summary: "one batch of requests, again and again",
    description: "Runs a batch of requests of the same lengths through the engine, without HTTP, and times it.",
    groups: ENGINE,
    flags: {
      inputLen: value(WORK, "--input-len <tokens>", 32, count, "tokens of a prompt"),
      outputLen: value(WORK, "--output-len <tokens>", 128, count, "tokens of an answer"),
      batchSize: value(WORK, "--batch-size <requests>", 8, count, "requests at once"),
      numItersWarmup: value(WORK, "--num-iters-warmup <number>", 10, countOrNone, "times before the clock runs"),
      numIters: value(WORK, "--num-iters <number>", 30, count, "times that count"),
      seed, json,
    },
  },
  throughput: {
    summary: "many requests, as fast as they go",
    description: "Gives the engine all requests at once, without HTTP, and times how long it takes.",
    groups: ENGINE,
    flags: {
      numPrompts: value(WORK, "--num-prompts <number>", 1000, count, "requests"),
      ...DATASET, seed, json,
    },
  },
} as const satisfies Record<string, BenchCommand>

export type BenchName = keyof typeof BENCH_COMMANDS

/** A command's own flags, and those of the engine with its model. */
export type BenchConfig<N extends BenchName> = ValuesOf<(typeof BENCH_COMMANDS)[N]["flags"]> & {
  readonly engine: ServeConfig
}

/** What each command does. Each resolves with the exit code. */
export type BenchActions = { readonly [N in BenchName]: (config: BenchConfig<N>) => Promise<number> }
