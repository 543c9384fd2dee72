/** GET /v1/streams: resumes a resumable stream, for clients that cannot send their request again. */
import { Type } from "@sinclair/typebox"
import { Elysia } from "elysia"
import { ownerOf } from "./auth.ts"
import type { ApiContext } from "../context.ts"
import { operation } from "../ops/openapi.ts"
import { ChatChunk } from "../schema/chat.ts"
import { CompletionChunk } from "../schema/completions.ts"
import { StreamEnd } from "../schema/kinds.ts"

export function streamsApi({ streams }: ApiContext) {
  const resume = ({ request }: { request: Request }): Response => {
    const { headers, signal, url } = request
    const id = headers.get("last-event-id") ?? new URL(url).searchParams.get("last_event_id") ?? ""
    return streams.resume(id, ownerOf(request), signal)
  }
  const detail = operation({
    summary: "Go on with a resumable stream behind the event that Last-Event-ID, a header or a parameter, names",
    tag: "OpenAI",
    chunk: Type.Union([CompletionChunk, ChatChunk, StreamEnd]),
    query: { last_event_id: "string" },
    refusals: [404],
  })
  return new Elysia().get("/v1/streams", resume, { detail })
}
