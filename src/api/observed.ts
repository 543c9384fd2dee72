/** Keeps a record of every request, for the log and for whoever else listens. */
import type { ApiOptions } from "./context.ts"
import { RequestLog } from "./request-log.ts"
import { openRecord } from "./request-record.ts"
import type { RequestRecord } from "./request-record.ts"

type Handle = (request: Request) => Promise<Response>

export function observed(handle: Handle, options: ApiOptions): Handle {
  const log = new RequestLog(options)
  const onComplete = (record: RequestRecord): void => {
    log.completed(record)
    options.onRecord(record)
  }
  return async (request) => {
    const start = performance.now()
    const record = openRecord(request, onComplete)
    const response = await handle(request)
    log.answered(record, response.status, performance.now() - start)
    return response
  }
}
