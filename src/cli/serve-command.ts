import { Option, type Command } from "commander"
import { readApiKeys } from "./api-keys.ts"
import { defaultModelHelp } from "./default-model.ts"
import { addFlag, parseFlag, type Flag } from "./flags.ts"
import { checkServeConfig, FLAG_ALIASES, SERVE_FLAGS, type ServeConfig } from "./serve-options.ts"

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
  command.addOption(new Option("--model <path>", "the model, instead of the first argument").helpGroup("Model:"))
  for (const [key, flag] of Object.entries<Flag<unknown>>(SERVE_FLAGS)) addFlag(command, key, flag)
  command.action(async (model: string | undefined, values: Values) => {
    if (model !== undefined && values["model"] !== undefined) command.error("error: the model is given twice")
    await serve(makeServeConfig({ ...values, model: model ?? values["model"] ?? null }, env))
  })
}

/** What `values` (words by name) say, with every other flag at its default. Errors: `ConfigError`. */
export function makeServeConfig(values: Values, env: Readonly<Record<string, string | undefined>>): ServeConfig {
  const config: Values = { model: values["model"] }
  for (const [key, flag] of Object.entries<Flag<unknown>>(SERVE_FLAGS)) config[key] = parseFlag(flag, values[key])
  const file = config["apiKeyFile"] as string | null
  const fromEnv = env["BAOZI_API_KEY"] || env["VLLM_API_KEY"] || ""
  const given = [...(config["apiKey"] as readonly string[]), ...(file === null ? [] : readApiKeys(file))]
  config["apiKey"] = given.length > 0 ? given : fromEnv.split(/\s+/).filter((key) => key !== "")
  config["isa"] ??= env["BAOZI_ISA"] || null
  return checkServeConfig(config as ServeConfig)
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
