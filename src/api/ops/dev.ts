/** Endpoints that steer the engine: caches, pauses, sleep, aborts, and what the server was started with. */
import { Elysia } from "elysia"
import { RequestError } from "../../base/errors.ts"
import type { PauseMode, SleepLevel } from "../../engine/engine-client.ts"
import type { ApiContext } from "../context.ts"
import { jsonHandler } from "../http/opening.ts"
import { operation } from "./openapi.ts"
import type { OperationParts } from "./openapi.ts"
import { readFlag, readWord } from "../http/query.ts"
import { clientRequestId } from "../http/request-id.ts"
import {
  AbortRequest, AbortResult, AwakeStatus, IsPaused, IsSleeping, PausedStatus, ResetResult, ResumedStatus, ServerInfo,
  SleepStatus,
} from "../schema/control.ts"
import type { UnknownFieldLog } from "../plan/unknown-fields.ts"

const PAUSE_MODES: readonly PauseMode[] = ["abort", "wait", "keep"]
/** The engine may have died, be in another state, or lack the memory to go on. */
const ENGINE_REFUSALS = [500]
const MOVE_REFUSALS = [409, 500, 503]
const SLEEP_LEVELS = ["0", "1", "2"] as const
/** What sleep takes away, in vLLM's names. Waking up brings back all of it. */
const TAGS: ReadonlySet<string> = new Set(["weights", "kv_cache", "scheduling"])

type Answer = (query: URLSearchParams) => Promise<object> | object

export function devApi(context: ApiContext, noteUnknown: UnknownFieldLog) {
  const { client: { control }, prefixHistory } = context
  const app = new Elysia()
  const add = (method: "get" | "post", path: string, parts: Omit<OperationParts, "tag">, answer: Answer): void => {
    const handle = async ({ request }: { request: Request }): Promise<Response> =>
      Response.json(await answer(new URL(request.url).searchParams))
    app[method](path, handle, { parse: "none", detail: operation({ tag: "Development", ...parts }) })
  }

  add("post", "/reset_prefix_cache", {
    summary: "Forget all cached prefixes; success is false while requests hold blocks",
    response: ResetResult, query: { reset_running_requests: "boolean" }, refusals: ENGINE_REFUSALS,
  }, async (query) => {
    const success = await control.resetPrefixCache(readFlag(query, "reset_running_requests", false))
    if (success) prefixHistory.clear()
    return { success }
  })
  add("post", "/pause", {
    summary: "Stop after live requests are aborted, have finished (wait), or where they are (keep)",
    response: PausedStatus, query: { mode: "string", clear_cache: "boolean" },
    refusals: MOVE_REFUSALS,
  }, async (query) => {
    const clearsCache = readFlag(query, "clear_cache", true)
    await control.pause(readMode(query), clearsCache)
    if (clearsCache) prefixHistory.clear()
    return { status: "paused" }
  })
  add("post", "/resume", { summary: "Go on", response: ResumedStatus, refusals: MOVE_REFUSALS }, async () => {
    await control.resume()
    return { status: "resumed" }
  })
  add("get", "/is_paused", { summary: "Whether the engine is paused", response: IsPaused }, () => ({
    is_paused: control.isPaused,
  }))
  add("post", "/sleep", {
    summary: "Pause, and give memory back: of the weights (level 1), of the KV cache too (2), or none (0)",
    response: SleepStatus, query: { level: "integer", mode: "string" },
    refusals: MOVE_REFUSALS,
  }, async (query) => {
    const level = Number(readWord(query, "level", SLEEP_LEVELS, "1")) as SleepLevel
    await control.sleep(level, readMode(query))
    if (level === 2) prefixHistory.clear()
    return { status: "sleeping", level }
  })
  add("post", "/wake_up", {
    summary: "Load what sleep gave back, and go on", response: AwakeStatus, query: { tags: "string" },
    refusals: MOVE_REFUSALS,
  }, async (query) => {
    const tags = readTags(query)
    await control.wakeUp()
    return { status: "awake", tags }
  })
  add("get", "/is_sleeping", { summary: "Whether the engine sleeps", response: IsSleeping }, () => ({
    is_sleeping: control.isSleeping,
  }))
  add("get", "/server_info", {
    summary: "What the server was started with, and where", response: ServerInfo, query: { config_format: "string" },
  }, (query) => {
    const { config, env, system } = context.options.serverInfo
    const format = readWord(query, "config_format", ["text", "json"], "text")
    const shown = format === "json" ? config : asText(config)
    return { vllm_config: shown, vllm_env: env, system_env: system } satisfies ServerInfo
  })
  const abort = jsonHandler(AbortRequest, context, noteUnknown, (_, body) => {
    const ids = new Set(body.request_ids ?? [])
    const aborted = control.abort((id) => ids.size === 0 || ids.has(clientRequestId(id)))
    return Response.json({ status: "aborted", aborted })
  })
  return app.post("/abort_requests", abort, {
    parse: "none",
    detail: operation({
      summary: "End requests with what they have", tag: "Development", request: AbortRequest, response: AbortResult,
    }),
  })
}

function readMode(query: URLSearchParams): PauseMode {
  return readWord(query, "mode", PAUSE_MODES, "abort")
}

/** Errors: `RequestError` for tags that leave some of it asleep: that is not possible here. */
function readTags(query: URLSearchParams): string[] | null {
  const tags = query.getAll("tags")
  if (tags.length === 0) return null
  const unknown = tags.find((tag) => !TAGS.has(tag))
  if (unknown === undefined && tags.includes("weights") && tags.includes("kv_cache")) return tags
  throw new RequestError("tags must be left out, or be weights and kv_cache together: all wakes up at once.", {
    param: "tags",
  })
}

function asText(config: Readonly<Record<string, unknown>>): string {
  return Object.entries(config).map(([name, value]) => `${name}=${JSON.stringify(value)}`).join(", ")
}
