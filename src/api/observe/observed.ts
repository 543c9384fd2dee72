/** Keeps a record of every request, for the log and other listeners; reports the load where a request asks for it. */
import type { EngineClient } from "../../engine/engine-client.ts"
import type { ApiOptions } from "../context.ts"
import { reportLoad } from "./load-header.ts"
import { RequestLog } from "./request-log.ts"
import { openRecord } from "./request-record.ts"
import type { RequestRecord } from "./request-record.ts"

type Handle = (request: Request) => Promise<Response>

export function observed(handle: Handle, options: ApiOptions, client: EngineClient): Handle {
  const log = new RequestLog(options)
  const onComplete = (record: RequestRecord): void => {
    log.completed(record)
    options.onRecord(record)
  }
  return async (request) => {
    const start = performance.now()
    const record = openRecord(request, onComplete)
    const response = await handle(request)
    const isStream = response.headers.get("content-type")?.startsWith("text/event-stream") === true
    if (!isStream && record.isGenerating) {
      if (response.ok) reportLoad(request, response, () => client.load())
      record.end()
    }
    log.answered(record, response.status, performance.now() - start)
    return response
  }
}
