import { Option, type Command } from "commander"
import { readApiKeys } from "./api-keys.ts"
import { defaultModelHelp } from "./default-model.ts"
import { checkServeConfig, FLAG_ALIASES, SERVE_FLAGS, type Flag, type ServeConfig } from "./serve-options.ts"

type Values = Record<string, unknown>

/** `env` supplies the API key and the instruction set where no flag does. */
export function addServeCommand(
  program: Command,
  serve: (config: ServeConfig) => Promise<void>,
  env: Readonly<Record<string, string | undefined>> = process.env,
): void {
  const command = program
    .command("serve")
    .summary("serve a model over HTTP, with OpenAI's API")
    .description("Serves a model over HTTP, with OpenAI's API.")
    .argument("[model]", `a GGUF file, or a model directory; ${defaultModelHelp()}`)
    .helpOption("-h, --help", "print this help and exit")
    .exitOverride()
  command.addOption(new Option("--model <path>", "the model, where it is not the first word").helpGroup("Model:"))
  for (const [key, flag] of Object.entries<Flag<unknown>>(SERVE_FLAGS)) addFlag(command, key, flag)
  command.action(async (model: string | undefined, values: Values) => {
    if (model !== undefined && values["model"] !== undefined) command.error("error: the model is given twice")
    await serve(makeConfig({ ...values, model: model ?? values["model"] ?? null }, env))
  })
}

function addFlag(command: Command, key: string, flag: Flag<unknown>): void {
  const option = new Option(flag.usage, flag.help).helpGroup(flag.group)
  const long = option.long!
  if (option.attributeName() !== key) throw new Error(`${long} does not spell ${key}`)
  const isPlain = typeof flag.byDefault === "string" ? flag.byDefault !== "" : typeof flag.byDefault === "number"
  // Commander prints a default that it is given; one that says nothing is described by the help text instead.
  if (isPlain) option.default(flag.byDefault)
  else if (flag.byDefault === true) option.default(true, "on")
  command.addOption(option)
  if (flag.hasNegation) command.addOption(new Option(long.replace("--", "--no-"), "the opposite").helpGroup(flag.group))
}

function makeConfig(values: Values, env: Readonly<Record<string, string | undefined>>): ServeConfig {
  const config: Values = { model: values["model"] }
  for (const [key, flag] of Object.entries<Flag<unknown>>(SERVE_FLAGS)) config[key] = parseFlag(flag, values[key])
  const file = config["apiKeyFile"] as string | null
  const fromEnv = env["BAOZI_API_KEY"] || env["VLLM_API_KEY"] || ""
  const given = [...(config["apiKey"] as readonly string[]), ...(file === null ? [] : readApiKeys(file))]
  config["apiKey"] = given.length > 0 ? given : fromEnv.split(/\s+/).filter((key) => key !== "")
  config["isa"] ??= env["BAOZI_ISA"] || null
  return checkServeConfig(config as ServeConfig)
}

// Commander hands over words as they are: it would take a parsed null for a missing value.
function parseFlag(flag: Flag<unknown>, given: unknown): unknown {
  if (given === undefined || given === flag.byDefault) return flag.byDefault
  const { parse } = flag
  if (parse === null) return given
  const long = flag.usage.slice(0, flag.usage.indexOf(" "))
  return Array.isArray(given) ? given.flatMap((word: string) => parse(word, long)) : parse(given as string, long)
}

/** Flags may be written with underscores, and some have a second name: `words` with their first. */
export function normalizeFlags(words: readonly string[]): string[] {
  return words.map((word) => {
    if (!word.startsWith("--")) return word
    const end = word.indexOf("=")
    const name = (end < 0 ? word : word.slice(0, end)).replaceAll("_", "-")
    return (FLAG_ALIASES[name] ?? name) + (end < 0 ? "" : word.slice(end))
  })
}
