import type { Command } from "commander"
import { addCommand, type CommandSpec } from "./add-command.ts"
import { BENCH_COMMANDS, type BenchName } from "./bench-options.ts"

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
  for (const [name, command] of Object.entries<CommandSpec>(BENCH_COMMANDS))
    addCommand(bench, name, { ...command, without: NOT_MEASURED }, (config) => run(name as BenchName, config), env)
}
