/** Tokens of the prompt that a conversation makes, without answering it; it may be too long to be answered. */
import { chatText } from "./chat-prompt.ts"
import type { ApiContext } from "../context.ts"
import { checkModel } from "../plan/model-name.ts"
import type { ChatRequest } from "../schema/chat.ts"
import { planTools } from "./tools.ts"

/** Errors: `RequestError` for another model, and for what cannot be rendered. */
export async function countPromptTokens(context: ApiContext, chat: ChatRequest): Promise<number> {
  checkModel(context.client.model, chat.model)
  const { shown, mayBeCalled } = planTools(context, chat)
  const reasoningEffort = chat.reasoning_effort ?? null
  const extras = { tools: shown, mayCallTools: mayBeCalled, reasoningEffort, tellsStarts: false }
  const { text } = await chatText(context, chat, extras)
  return context.work.count(text, chat.add_special_tokens ?? false)
}
