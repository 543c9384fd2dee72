import { runCli } from "./cli/index.ts"
import { serve } from "./serve.ts"

const local = async () => (await import("./local.ts")).localActions
const bench = async () => (await import("./bench.ts")).benchActions

// No await at the top: bytecode has none.
void runCli(process.argv.slice(2), { serve, bench, local }).then((code) => process.exit(code))
