/** GET /tokenizer_info: what the tokenizer is, in the keys of a tokenizer_config.json. */
import { Elysia } from "elysia"
import { DEFAULT_TEMPLATE } from "../../text/chat-templates.ts"
import type { Tokenizer } from "../../text/tokenizer.ts"
import type { ApiContext } from "../context.ts"
import { operation } from "./openapi.ts"
import { TokenizerInfo } from "../schema/tokenize.ts"

export function tokenizerInfoApi({ client }: ApiContext) {
  const { tokenizer, chatTemplates, model } = client
  let info: TokenizerInfo | null = null
  const makeInfo = (): TokenizerInfo => ({
    ...tokenizer.specialTokens,
    tokenizer_class: "PreTrainedTokenizerFast",
    backend: tokenizer.kind,
    name_or_path: model.root,
    is_local: true,
    local_files_only: true,
    model_max_length: model.maxModelLen,
    truncation_side: "left",
    added_tokens_decoder: specialPieces(tokenizer),
    chat_template: chatTemplates.get(DEFAULT_TEMPLATE)?.source ?? null,
  })
  return new Elysia().get("/tokenizer_info", () => Response.json((info ??= makeInfo())), {
    detail: operation({ summary: "What the tokenizer is", tag: "Tokens", response: TokenizerInfo }),
  })
}

function specialPieces(tokenizer: Tokenizer): Record<string, string> {
  const pieces: Record<string, string> = {}
  for (let id = 0; id < tokenizer.vocabSize; id++) {
    const piece = tokenizer.isSpecial(id) ? tokenizer.tokenString(id) : null
    if (piece !== null) pieces[id] = piece
  }
  return pieces
}
