import { Command, CommanderError } from "commander"
import packageJson from "../../package.json" with { type: "json" }
import { isOperational } from "../base/errors.ts"
import { EXIT_NO_READER, stderr, stdout } from "../base/standard-streams.ts"
import { addCommand, type CommandSpec } from "./add-command.ts"
import { addBenchCommand } from "./bench-command.ts"
import type { BenchActions } from "./bench-options.ts"
import { LOCAL_COMMANDS, type LocalActions, type LocalName } from "./local-options.ts"
import { addServeCommand, normalizeFlags } from "./serve-command.ts"
import type { ServeConfig } from "./serve-options.ts"

/** What the commands do; the command line itself only reads words. Each resolves with the exit code. */
export interface Actions {
  readonly serve: (config: ServeConfig) => Promise<number>
  /** Fetched when asked for, as those below: a server starts without their code. */
  readonly bench: () => Promise<BenchActions>
  readonly local: () => Promise<LocalActions>
}

export const VERSION: string = packageJson.version

/** Wrong words on the command line, as getopt's programs have it; a config that cannot be used ends with 1. */
const EXIT_USAGE = 2

/** Runs `argv` (without the program's own name). Resolves with the exit code; words of errors go to stderr. */
export async function runCli(argv: readonly string[], actions: Actions): Promise<number> {
  let exitCode = 0
  const program = new Command("baozi")
    .description(packageJson.description)
    .version(`baozi ${VERSION}`, "-V, --version", "print the version and exit")
    .helpOption("-h, --help", "print this help and exit")
    .helpCommand(false)
    .configureHelp({ showGlobalOptions: false })
    .configureOutput({ writeOut: (text) => stdout.write(text), writeErr: (text) => stderr.write(text) })
    .showSuggestionAfterError(true)
    .exitOverride()
  addServeCommand(program, async (config) => {
    exitCode = await actions.serve(config)
  })
  addBenchCommand(program, async (name, config) => {
    const run = (await actions.bench())[name] as (config: unknown) => Promise<number>
    exitCode = await run(config)
  })
  for (const [name, spec] of Object.entries<CommandSpec>(LOCAL_COMMANDS)) {
    const run = async (config: unknown): Promise<void> => {
      const action = (await actions.local())[name as LocalName] as (config: unknown) => Promise<number>
      exitCode = await action(config)
    }
    addCommand(program, name, spec, run, process.env)
  }
  try {
    if (argv.length === 0) {
      program.outputHelp({ error: true })
      return EXIT_USAGE
    }
    await program.parseAsync(normalizeFlags(argv), { from: "user" })
    return exitCode
  } catch (error) {
    // Commander has written its words already.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT_USAGE
    if (!isOperational(error)) throw error
    // The reader of this command's output has closed it, as `head` does: that is no error.
    if ("code" in error && error.code === "EPIPE") return EXIT_NO_READER
    stderr.write(`error: ${error.message}\n`)
    return 1
  }
}
