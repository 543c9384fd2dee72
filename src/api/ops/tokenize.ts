/** POST /tokenize and /detokenize: what the model makes of a text, and back. */
import { Elysia } from "elysia"
import { chatText } from "../chat/chat-prompt.ts"
import type { ApiContext } from "../context.ts"
import { checkModel } from "../plan/model-name.ts"
import { bodyReader, eitherBodyReader } from "../http/opening.ts"
import { operation } from "./openapi.ts"
import {
  DetokenizeRequest, DetokenizeResponse, TokenizeChatRequest, TokenizeRequest, TokenizeResponse, TokenizeTextRequest,
} from "../schema/tokenize.ts"
import type { UnknownFieldLog } from "../plan/unknown-fields.ts"

export function tokenizeApi(context: ApiContext, noteUnknown: UnknownFieldLog) {
  const tokenize = tokenizer(context, noteUnknown)
  const readTokens = bodyReader(DetokenizeRequest, context, noteUnknown)

  const onTokenize = async ({ request }: { request: Request }): Promise<Response> => {
    const bytes = await tokenize(request)
    const headers = { "content-type": "application/json", "content-length": String(bytes.length) }
    return new Response(bytes, { headers })
  }

  const onDetokenize = async ({ request }: { request: Request }): Promise<Response> => {
    const body = await readTokens(request)
    checkModel(context.client.model, body.model)
    const prompt = await context.work.decode(body.tokens)
    return Response.json({ prompt } satisfies DetokenizeResponse)
  }

  return new Elysia()
    .post("/tokenize", onTokenize, {
      parse: "none",
      detail: operation({
        summary: "Turn a text or a conversation into token ids",
        tag: "Tokens",
        request: TokenizeRequest,
        response: TokenizeResponse,
        refusals: [404],
      }),
    })
    .post("/detokenize", onDetokenize, {
      parse: "none",
      detail: operation({
        summary: "Turn token ids into text",
        tag: "Tokens",
        request: DetokenizeRequest,
        response: DetokenizeResponse,
        refusals: [404],
      }),
    })
}

function tokenizer(
  context: ApiContext, noteUnknown: UnknownFieldLog,
): (request: Request) => Promise<Uint8Array<ArrayBuffer>> {
  const read = eitherBodyReader([["messages", TokenizeChatRequest], [null, TokenizeTextRequest]], context, noteUnknown)
  const { client, work } = context
  const { maxModelLen } = client.model

  return async (request) => {
    const { schema, body } = await read(request)
    if (schema === TokenizeChatRequest) {
      const chat = body as TokenizeChatRequest
      checkModel(client.model, chat.model)
      const extras = { tools: chat.tools, mayCallTools: true, reasoningEffort: null, tellsStarts: false }
      const { text } = await chatText(context, chat, extras)
      const addSpecialTokens = chat.add_special_tokens ?? false
      return work.tokenize(text, { addSpecialTokens, withStrings: chat.return_token_strs ?? false, maxModelLen })
    }
    const text = body as TokenizeTextRequest
    checkModel(client.model, text.model)
    const addSpecialTokens = text.add_special_tokens ?? true
    return work.tokenize(text.prompt, { addSpecialTokens, withStrings: text.return_token_strs ?? false, maxModelLen })
  }
}
