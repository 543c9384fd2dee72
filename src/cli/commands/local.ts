import { runBatchCommand } from "./run-batch.ts"
import type { LocalActions } from "../local-options.ts"
import { doctor } from "./doctor.ts"
import { talk } from "./talk.ts"

/** `baozi chat`, `complete`, `run-batch` and `doctor`. */
export const localActions: LocalActions = {
  chat: (config) => talk("chat", config, config.systemPrompt),
  complete: (config) => talk("complete", config, null),
  "run-batch": runBatchCommand,
  doctor,
}
