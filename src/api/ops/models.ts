/** GET /v1/models, and one of them: with the fields of OpenAI's objects, of vLLM's and of Anthropic's. */
import { Elysia } from "elysia"
import type { ModelInfo } from "../../engine/engine-client.ts"
import type { ApiContext } from "../context.ts"
import { checkModel } from "../plan/model-name.ts"
import { operation } from "./openapi.ts"
import { randomHex } from "../http/request-id.ts"
import { ModelCard, ModelList } from "../schema/models.ts"

export function modelsApi({ client: { model } }: ApiContext) {
  const list = { detail: operation({ summary: "List the served models", tag: "OpenAI", response: ModelList }) }
  const one = {
    detail: operation({ summary: "Describe a served model", tag: "OpenAI", response: ModelCard, refusals: [404] }),
  }
  return new Elysia()
    .get("/v1/models", () => Response.json(modelList(model)), list)
    // A name may hold slashes, escaped or not.
    .get("/v1/models/*", ({ params }) => Response.json(findModel(model, params["*"])), one)
}

function modelList(model: ModelInfo): ModelList {
  const data = model.servedNames.map((name) => modelCard(model, name))
  return { object: "list", data, has_more: false, first_id: data[0]?.id ?? null, last_id: data.at(-1)?.id ?? null }
}

function findModel(model: ModelInfo, escapedName: string): ModelCard {
  const name = unescaped(escapedName)
  checkModel(model, name)
  return modelCard(model, name)
}

function unescaped(name: string): string {
  try {
    return decodeURIComponent(name)
  } catch {
    return name
  }
}

function modelCard(model: ModelInfo, name: string): ModelCard {
  const permission = {
    id: `modelperm-${randomHex(8)}`,
    object: "model_permission" as const,
    created: model.created,
    allow_create_engine: false,
    allow_sampling: true,
    allow_logprobs: true,
    allow_search_indices: false,
    allow_view: true,
    allow_fine_tuning: false,
    organization: "*",
    group: null,
    is_blocking: false,
  }
  return {
    id: name,
    object: "model",
    created: model.created,
    owned_by: "baozi",
    root: model.root,
    parent: null,
    max_model_len: model.maxModelLen,
    permission: [permission],
    type: "model",
    display_name: name,
    created_at: new Date(model.created * 1000).toISOString(),
    max_input_tokens: model.maxModelLen,
    max_tokens: model.maxModelLen,
  }
}
