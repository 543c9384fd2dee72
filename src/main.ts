import { runCli } from "./cli/index.ts"
import { serve } from "./serve.ts"

process.exit(await runCli(process.argv.slice(2), { serve }))
