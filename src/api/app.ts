/** All endpoints in one application, with what holds for every request: keys, errors, unknown paths and methods. */
import { Elysia } from "elysia"
import type { EngineClient } from "../engine/engine-client.ts"
import { answerKinds } from "./chat/answer-kinds.ts"
import { ApiKeys } from "./http/auth.ts"
import { anthropicApi } from "./anthropic/anthropic-api.ts"
import { PrefixHistory } from "./cache-miss/prefix-history.ts"
import { chatBatchApi } from "./chat/chat-batch.ts"
import { chatApi } from "./chat/chat.ts"
import { completionsApi } from "./completions/completions.ts"
import { DEFAULT_API_OPTIONS } from "./context.ts"
import type { ApiContext, ApiOptions } from "./context.ts"
import { allowReading, preflight } from "./http/cors.ts"
import { devApi } from "./ops/dev.ts"
import { docsApi } from "./ops/docs.ts"
import { earlyRefusal, refusalResponse } from "./http/early-refusal.ts"
import { errorResponse } from "./http/errors.ts"
import { systemFingerprint } from "./observe/fingerprint.ts"
import { HttpMetrics } from "./observe/http-metrics.ts"
import { invocationsApi } from "./ops/invocations.ts"
import { logOnce } from "./observe/log-once.ts"
import { modelsApi } from "./ops/models.ts"
import { observed } from "./observe/observed.ts"
import { opsApi } from "./ops/ops.ts"
import type { DescribedRoute } from "./ops/openapi.ts"
import { foreignRefusal } from "./http/origin-guard.ts"
import { badPath, isPercentEncoded } from "./http/path.ts"
import { randomHex } from "./http/request-id.ts"
import { StreamStore } from "./http/resumable.ts"
import { streamsApi } from "./http/streams.ts"
import { renderApi } from "./ops/render.ts"
import { responsesApi } from "./responses/responses-api.ts"
import { tokenizeApi } from "./ops/tokenize.ts"
import { tokenizerInfoApi } from "./ops/tokenizer-info.ts"
import { unknownFieldLog } from "./plan/unknown-fields.ts"
import { OffloadedTextWork } from "./work/offloaded-text-work.ts"
import { LocalTextWork } from "./work/text-work.ts"
import type { TextWork } from "./work/text-work.ts"

export interface App {
  /** Never rejects: whatever goes wrong is an answer. */
  handle(request: Request): Promise<Response>
}

/** Open even where keys are asked for, unless every route is to be guarded: for probes and scrapers. */
const OPEN_PATHS = ["/health", "/ready", "/metrics"]

export function createApp(options: Partial<ApiOptions>, client: EngineClient): App {
  const merged = { ...DEFAULT_API_OPTIONS, ...options }
  const fingerprint = systemFingerprint(merged.version, client.model)
  const httpMetrics = new HttpMetrics()
  const keys = new ApiKeys(merged.apiKeys, merged.guardsEveryRoute ? [] : OPEN_PATHS)
  const streams = new StreamStore(merged.streamResume)
  const answers = answerKinds(merged, client.tokenizer)
  const warnOnce = logOnce(merged.log)
  const prefixHistory = new PrefixHistory()
  const work = textWork(client, merged)
  const routes = buildRoutes({
    client, options: merged, fingerprint, httpMetrics, streams, answers, warnOnce, prefixHistory, work,
  })
  const methods = methodsByPath(routes)
  const patternOf = patternFinder([...methods.keys()])

  const answer = async (request: Request): Promise<Response> => {
    const { method, url } = request
    const path = new URL(url).pathname
    if (!isPercentEncoded(path)) return badPath(path)
    if (!keys.mayPass(path, request)) return earlyRefusal(path, 401)
    const handler = methods.has(path) ? path : patternOf(path)
    const refusal = refuseMethod(path, methods.get(handler), method)
    const routed = () => refusal ?? routes.handle(request).catch((error) => errorResponse(error, merged.log))
    return httpMetrics.measure({ handler: methods.has(handler) ? handler : "none", request }, routed)
  }
  const guard = { allowedHosts: merged.allowedHosts, allowedOrigins: merged.cors.allowedOrigins }
  const handle = async (request: Request): Promise<Response> => {
    const foreign = merged.apiKeys.length === 0 ? foreignRefusal(request.headers, guard) : null
    if (foreign !== null) return refusalResponse(new URL(request.url).pathname, foreign)
    const asked = preflight(merged.cors, request)
    if (asked !== null) return asked
    const response = await answer(request)
    allowReading(merged.cors, request, response)
    if (merged.enableRequestIdHeaders) {
      response.headers.set("x-request-id", request.headers.get("x-request-id") || randomHex(16))
    }
    return response
  }
  return { handle: observed(handle, merged, client) }
}

function textWork({ tokenizer, chatTemplates }: EngineClient, { textThreads }: ApiOptions): TextWork {
  const here = new LocalTextWork(tokenizer, chatTemplates)
  return textThreads === null ? here : new OffloadedTextWork(here, textThreads)
}

function buildRoutes(context: ApiContext) {
  const noteUnknown = unknownFieldLog(context.options.log)
  // The default takes the path from the 11th character of the URL on, which a short host name such as "gw" breaks.
  const app = new Elysia({ handler: { standardHostname: false } })
    .onError(({ error }) => errorResponse(error, context.options.log))
    .use(completionsApi(context, noteUnknown))
    .use(chatApi(context, noteUnknown))
    .use(chatBatchApi(context, noteUnknown))
    .use(invocationsApi(context, noteUnknown))
    .use(responsesApi(context, noteUnknown))
    .use(anthropicApi(context, noteUnknown))
    .use(renderApi(context, noteUnknown))
    .use(modelsApi(context))
    .use(tokenizeApi(context, noteUnknown))
    .use(opsApi(context))
    .use(streamsApi(context))
  if (context.options.enableTokenizerInfo) app.use(tokenizerInfoApi(context))
  if (context.options.devMode) app.use(devApi(context, noteUnknown))
  const routes = (): DescribedRoute[] =>
    app.routes.map(({ method, path, hooks }) => ({ method, path, detail: (hooks as { detail?: unknown }).detail }))
  return app.use(docsApi(context, routes))
}

type Methods = ReadonlyMap<string, ReadonlySet<string>>

function methodsByPath(
  app: { readonly routes: readonly { readonly method: string; readonly path: string }[] },
): Methods {
  const methods = new Map<string, Set<string>>()
  for (const { method, path } of app.routes) {
    const known = methods.get(path) ?? new Set()
    methods.set(path, known.add(method.toUpperCase()))
  }
  return methods
}

/** Finds the route that serves a path: "/a/:id" takes one step, "/a/*" all below. A path without one is its own. */
function patternFinder(routes: readonly string[]): (path: string) => string {
  const patterns = routes.filter((route) => /[:*]/.test(route)).map((route) => {
    const source = route.replaceAll(".", "\\.").replaceAll(/:\w+/g, "[^/]+").replace("*", ".+")
    return { route, regExp: new RegExp(`^${source}$`) }
  })
  return (path) => patterns.find(({ regExp }) => regExp.test(path))?.route ?? path
}

/** 404 for a path that nothing serves, 405 for a method that it is not served for; null when there is a route. */
function refuseMethod(path: string, known: ReadonlySet<string> | undefined, method: string): Response | null {
  if (known === undefined) return earlyRefusal(path, 404)
  return known.has(method) ? null : earlyRefusal(path, 405, { allow: [...known].join(", ") })
}
