import { Option, type Command } from "commander"
import { defaultModelHelp } from "./default-model.ts"
import { addFlag, parseFlag, type Flag } from "./flags.ts"
import { makeServeConfig } from "./serve-command.ts"
import { MODEL, SERVE_FLAGS } from "./serve-options.ts"

type Values = Record<string, unknown>
type Env = Readonly<Record<string, string | undefined>>

/** A command that works with a model of its own, without a server, or with none at all. */
export interface CommandSpec {
  readonly summary: string
  readonly description: string
  /** Of the flags of `serve`; with "Model:" the command takes a model. */
  readonly groups: readonly string[]
  /** Flags of those groups that mean nothing here. */
  readonly without?: readonly string[]
  readonly flags: Readonly<Record<string, Flag<unknown>>>
}

/** `run` gets the command's own flags, with those of the engine as `engine`: a whole config of `baozi serve`. */
export function addCommand(
  parent: Command, name: string, spec: CommandSpec, run: (config: Values) => Promise<void>, env: Env,
): void {
  const { summary, description, groups, without = [], flags } = spec
  const command = parent.command(name).summary(summary).description(description)
    .helpOption("-h, --help", "print this help and exit").exitOverride()
  for (const [key, flag] of Object.entries<Flag<unknown>>(flags)) addFlag(command, key, flag)
  const engineFlags = Object.entries<Flag<unknown>>(SERVE_FLAGS)
    .filter(([key, { group }]) => groups.includes(group) && !without.includes(key) && !(key in flags))
  const takesModel = groups.includes(MODEL)
  if (takesModel) {
    command.argument("[model]", `a GGUF file, or a model directory; ${defaultModelHelp()}`)
    command.addOption(new Option("--model <path>", "the model, instead of the first argument").helpGroup(MODEL))
  }
  for (const [key, flag] of engineFlags) addFlag(command, key, flag)
  command.action(async (...words: unknown[]) => {
    const [model, values] = (takesModel ? words : [undefined, ...words]) as [string | undefined, Values]
    if (model !== undefined && values["model"] !== undefined) command.error("error: the model is given twice")
    const forEngine = Object.fromEntries(engineFlags.map(([key]) => [key, values[key]]))
    const engineModel = takesModel ? model ?? values["model"] ?? null : null
    const config: Values = { engine: makeServeConfig({ ...forEngine, model: engineModel }, env) }
    for (const [key, flag] of Object.entries<Flag<unknown>>(flags)) config[key] = parseFlag(flag, values[key])
    await run(config)
  })
}
