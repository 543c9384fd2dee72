/**
 * A logits processor that has the model say what a script wants: all tokens but the next one of the line are forbidden.
 * A prompt that no line answers is refused with a 400 that shows its end.
 *
 *     BAOZI_CLIENTS_SCRIPT=script.json baozi serve MODEL --logits-processors test/clients/scripted-answers.ts
 */
import { readFileSync } from "node:fs"
import type { LogitsProcessor } from "../../src/exec/logits-processors/interface.ts"
import type { CompiledScript } from "./script.ts"

export default function scriptedAnswers(): LogitsProcessor {
  // The name is also in script.ts, which the server cannot load: it needs the tokenizer.
  const path = process.env["BAOZI_CLIENTS_SCRIPT"]
  if (path === undefined) throw new Error("BAOZI_CLIENTS_SCRIPT names no script")
  const { pieces, lines } = JSON.parse(readFileSync(path, "utf8")) as CompiledScript
  return {
    name: "scripted-answers",
    add({ tokenIds, numPromptTokens }) {
      const prompt = tokenIds.slice(0, numPromptTokens).map((id) => pieces[id]).join("")
      const line = lines.find(({ when }) => when.every((part) => prompt.includes(part)))
      if (line === undefined) throw new Error(`the script has no line for a prompt that ends in ${prompt.slice(-300)}`)
      return {
        apply(logits) {
          logits.fill(-Infinity)
          logits[line.tokenIds[Math.min(tokenIds.length - numPromptTokens, line.tokenIds.length - 1)]!] = 0
        },
      }
    },
  }
}
