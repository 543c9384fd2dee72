import { Option, type Command } from "commander"
import { BENCH_COMMANDS, type BenchCommand, type BenchName } from "./bench-options.ts"
import { defaultModelHelp } from "./default-model.ts"
import { addFlag, parseFlag, type Flag } from "./flags.ts"
import { makeServeConfig } from "./serve-command.ts"
import { MODEL, SERVE_FLAGS } from "./serve-options.ts"

type Values = Record<string, unknown>

/** Flags of `serve` that say nothing about speed. */
const NOT_MEASURED = ["servedModelName", "chatTemplate", "generationConfig", "overrideGenerationConfig", "offline"]

/** `run` gets a command's own flags, with those of the engine as `engine`: a whole config of `baozi serve`. */
export function addBenchCommand(
  program: Command,
  run: (name: BenchName, config: Values) => Promise<void>,
  env: Readonly<Record<string, string | undefined>> = process.env,
): void {
  const bench = program
    .command("bench")
    .summary("measure this machine, a model, or a running server")
    .description("Measures this machine, a model, or a running server.")
    .helpOption("-h, --help", "print this help and exit")
    .helpCommand(false)
    .exitOverride()
  for (const [name, command] of Object.entries<BenchCommand>(BENCH_COMMANDS))
    addOne(bench, name, command, (config) => run(name as BenchName, config), env)
}

function addOne(
  bench: Command, name: string, { summary, description, groups, flags }: BenchCommand,
  run: (config: Values) => Promise<void>, env: Readonly<Record<string, string | undefined>>,
): void {
  const command = bench.command(name).summary(summary).description(description)
    .helpOption("-h, --help", "print this help and exit").exitOverride()
  for (const [key, flag] of Object.entries<Flag<unknown>>(flags)) addFlag(command, key, flag)
  const engineFlags = Object.entries<Flag<unknown>>(SERVE_FLAGS)
    .filter(([key, { group }]) => groups.includes(group) && !NOT_MEASURED.includes(key) && !(key in flags))
  const takesModel = groups.includes(MODEL)
  if (takesModel) {
    command.argument("[model]", `a GGUF file, or a model directory; ${defaultModelHelp()}`)
    command.addOption(new Option("--model <path>", "the model, where it is not the first word").helpGroup(MODEL))
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
