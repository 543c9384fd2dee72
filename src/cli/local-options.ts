/** The commands that need no server: their words and flags. */
import type { CommandSpec } from "./add-command.ts"
import { optional, toggle, toggleOn, type Flag, type ValuesOf } from "./flags.ts"
import { integer, text } from "./parse-values.ts"
import { SETTINGS } from "../client/settings.ts"
import { MACHINE, MEMORY, MODEL, SCHEDULER, SERVE_FLAGS, type ServeConfig } from "./serve-options.ts"

const TALK = "Talk:"
const BATCH = "Batch:"
const OUTPUT = "Output:"
const ENGINE = [MODEL, SCHEDULER, MEMORY, MACHINE]

type CamelCase<S extends string> = S extends `${infer A}_${infer B}` ? `${A}${Capitalize<CamelCase<B>>}` : S
type SamplingFlags = { readonly [K in keyof typeof SETTINGS as CamelCase<K>]: Flag<string | null> }

/** The model's own values hold where a flag is not given. */
export const SAMPLING_FLAGS = Object.fromEntries(Object.entries(SETTINGS).map(([name, { help }]) => {
  const key = name.replace(/_[a-z]/g, (letter) => letter[1]!.toUpperCase())
  return [key, optional("Sampling:", `--${name.replaceAll("_", "-")} <value>`, text, help)]
})) as unknown as SamplingFlags

const talkFlags = {
  url: optional(TALK, "--url <url>", text,
    "a server with OpenAI's API, such as http://127.0.0.1:8000/v1 (default: the model is run here)"),
  modelName: optional(TALK, "--model-name <name>", text, "the server's model (default: the first that it lists)"),
  apiKey: optional(TALK, "--api-key <key>", text, "for the server (default: BAOZI_API_KEY, else OPENAI_API_KEY)"),
  quick: optional(TALK, "-q, --quick <text>", text, "answer this text and exit; standard input is appended to it"),
  stats: toggle(TALK, "--stats", "print counts and times after each answer"),
  history: toggleOn(TALK, "--history", "keep typed lines for the next session"),
  ...SAMPLING_FLAGS,
}

export const LOCAL_COMMANDS = {
  chat: {
    summary: "talk to a model in the terminal",
    description: "Talks to a model in the terminal: one that runs here, or that of a server. /help lists the " +
      "commands of the prompt. With text on standard input, answers it and exits.",
    groups: ENGINE,
    flags: {
      ...talkFlags,
      systemPrompt: optional(TALK, "--system-prompt <text>", text, "system prompt"),
    },
  },
  complete: {
    summary: "continue a text with a model, in the terminal",
    description: "Continues a text with a model that runs here, or with that of a server.",
    groups: ENGINE,
    flags: talkFlags,
  },
  "run-batch": {
    summary: "answer a file of requests, without a server",
    description: "Answers a file in the format of OpenAI's batches: on each line an object with custom_id, url and " +
      "body. Any endpoint of `baozi serve` may be named. A run that was stopped resumes where it was when it is " +
      "started again.",
    groups: ENGINE,
    flags: {
      inputFile: optional(BATCH, "-i, --input-file <path>", text, "requests, one a line; - is standard input"),
      outputFile: optional(BATCH, "-o, --output-file <path>", text,
        "results, one a line in order of completion; - is standard output"),
      overwrite: toggle(BATCH, "--overwrite", "start over, instead of adding the results missing from the output"),
      concurrency: optional(BATCH, "--concurrency <requests>", integer({ min: 1, max: 65536 }),
        "concurrent requests (default: twice --max-num-seqs)"),
    },
  },
  doctor: {
    summary: "report what this machine has, and problems",
    description: "Reports what Baozi finds on this machine: processor, instruction level, backends, memory, limits, " +
      "directories; and problems, with their remedies.",
    groups: [],
    flags: {
      json: toggle(OUTPUT, "--json", "print it as one JSON object"),
      isa: optional(MACHINE, "--isa <level>", text,
        "the instruction level to report on (default: BAOZI_ISA, else the best)"),
      libDir: SERVE_FLAGS.libDir,
    },
  },
} as const satisfies Record<string, CommandSpec>

export type LocalName = keyof typeof LOCAL_COMMANDS

/** A command's own flags, and those of the engine with its model. */
export type LocalConfig<N extends LocalName> = ValuesOf<(typeof LOCAL_COMMANDS)[N]["flags"]> & {
  readonly engine: ServeConfig
}

/** What each command does. Each resolves with the exit code. */
export type LocalActions = { readonly [N in LocalName]: (config: LocalConfig<N>) => Promise<number> }
