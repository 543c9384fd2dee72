import { RequestError } from "../../base/errors.ts"
import type { ModelInfo } from "../../engine/engine-client.ts"

/** Errors: `RequestError` 404 when the request names a model that is not served. Null and "" are the first one. */
export function checkModel(model: ModelInfo, requested: string | null | undefined): void {
  if (requested === null || requested === undefined || requested === "" || model.servedNames.includes(requested)) return
  const name = requested.slice(0, 200)
  throw new RequestError(`The model \`${name}\` does not exist. Valid aliases: ${model.servedNames.join(", ")}.`, {
    status: 404,
    type: "NotFoundError",
    param: "model",
  })
}

/** The name that answers carry, whichever alias was asked for. */
export function servedName(model: ModelInfo): string {
  return model.servedNames[0] ?? model.root
}
