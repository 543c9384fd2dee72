/** POST /tokenize and /detokenize: what the model makes of a text, and back. */
import { Elysia } from "elysia"
import { chatPrompt } from "./chat-prompt.ts"
import type { ApiContext } from "./context.ts"
import { checkModel } from "./model-name.ts"
import { bodyReader, eitherBodyReader } from "./opening.ts"
import { operation } from "./openapi.ts"
import { ANY_LENGTH, encodeText } from "./prompt.ts"
import {
  DetokenizeRequest, DetokenizeResponse, TokenizeChatRequest, TokenizeRequest, TokenizeResponse, TokenizeTextRequest,
} from "./schema/tokenize.ts"
import type { UnknownFieldLog } from "./unknown-fields.ts"

export function tokenizeApi(context: ApiContext, noteUnknown: UnknownFieldLog) {
  const tokenize = tokenizer(context, noteUnknown)
  const readTokens = bodyReader(DetokenizeRequest, context, noteUnknown)

  const onTokenize = async ({ request }: { request: Request }): Promise<Response> =>
    Response.json(await tokenize(request))

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

function tokenizer(context: ApiContext, noteUnknown: UnknownFieldLog): (request: Request) => Promise<TokenizeResponse> {
  const read = eitherBodyReader([["messages", TokenizeChatRequest], [null, TokenizeTextRequest]], context, noteUnknown)
  const { client } = context

  return async (request) => {
    const { schema, body } = await read(request)
    if (schema === TokenizeChatRequest) {
      const chat = body as TokenizeChatRequest
      checkModel(client.model, chat.model)
      const extras = { tools: chat.tools, mayCallTools: true, reasoningEffort: null, tellsStarts: false }
      const { tokenIds } = await chatPrompt(context, chat, extras, ANY_LENGTH)
      return response(context, tokenIds, chat.return_token_strs ?? false)
    }
    const text = body as TokenizeTextRequest
    checkModel(client.model, text.model)
    const { tokenIds } = await encodeText(context, text.prompt, text.add_special_tokens ?? true, ANY_LENGTH)
    return response(context, tokenIds, text.return_token_strs ?? false)
  }
}

function response({ client }: ApiContext, tokens: readonly number[], withStrings: boolean): TokenizeResponse {
  return {
    count: tokens.length,
    max_model_len: client.model.maxModelLen,
    tokens: [...tokens],
    token_strs: withStrings ? tokens.map((id) => client.tokenizer.tokenString(id) ?? "") : null,
  }
}
