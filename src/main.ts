import { endProcess, stderr } from "./base/standard-streams.ts"
import { runCli } from "./cli/index.ts"
import { serve } from "./cli/commands/serve.ts"

const local = async () => (await import("./cli/commands/local.ts")).localActions
const bench = async () => (await import("./cli/commands/bench.ts")).benchActions

/** A mistake of ours: its stack goes where the log goes. */
function fail(mistake: unknown): Promise<never> {
  stderr.write(`${mistake instanceof Error ? mistake.stack ?? mistake.message : String(mistake)}\n`)
  return endProcess(1)
}

// No await at the top: bytecode has none.
void runCli(process.argv.slice(2), { serve, bench, local }).then(endProcess, fail)
