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
  quick: optional(TALK, "-q, --quick <text>", text, "answer this and end; what is piped in is added to it"),
  stats: toggle(TALK, "--stats", "tell counts and times after each answer"),
  history: toggleOn(TALK, "--history", "keep typed lines for the next session"),
  ...SAMPLING_FLAGS,
}

export const LOCAL_COMMANDS = {
  chat: {
    summary: "talk to a model in the terminal",
    description: "Talks to a model in the terminal: one that is run here, or that of a server. /help lists what can " +
      "be typed beside questions. With text piped in, answers that and ends.",
    groups: ENGINE,
    flags: {
      ...talkFlags,
      systemPrompt: optional(TALK, "--system-prompt <text>", text, "tells the model who it is"),
    },
  },
  complete: {
    summary: "let a model go on with a text, in the terminal",
    description: "Lets a model go on with a text: one that is run here, or that of a server.",
    groups: ENGINE,
    flags: talkFlags,
  },
  "run-batch": {
    summary: "answer a file of requests, without a server",
    description: "Answers a file in the format of OpenAI's batches: on each line an object with custom_id, url and " +
      "body. Any endpoint of `baozi serve` may be named. A run that was stopped goes on where it was when it is " +
      "started again.",
    groups: ENGINE,
    flags: {
      inputFile: optional(BATCH, "-i, --input-file <path>", text, "requests, one a line; - is standard input"),
      outputFile: optional(BATCH, "-o, --output-file <path>", text,
        "results, one a line in the order in which they come; - is standard output"),
      overwrite: toggle(BATCH, "--overwrite", "begin anew, instead of adding what the output lacks"),
      concurrency: optional(BATCH, "--concurrency <requests>", integer({ min: 1, max: 65536 }),
        "requests under way at once (default: twice --max-num-seqs)"),
    },
  },
  doctor: {
    summary: "tell what this machine has and what stands in the way",
    description: "Tells what Baozi finds on this machine: processor, instruction level, backends, memory, limits, " +
      "directories; and what stands in the way, with what helps.",
    groups: [],
    flags: {
      json: toggle(OUTPUT, "--json", "print it as one JSON object"),
      isa: optional(MACHINE, "--isa <level>", text,
        "the instruction level to look at (default: BAOZI_ISA, else the best)"),
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
