import { runCli } from "./cli/index.ts"
import { serve } from "./cli/serve.ts"

process.exit(await runCli(process.argv.slice(2), { serve }))
