import { runCli } from "./cli/index.ts"
import { serve } from "./serve.ts"

const local = async () => (await import("./local.ts")).localActions
const bench = async () => (await import("./bench.ts")).benchActions

process.exit(await runCli(process.argv.slice(2), { serve, bench, local }))
