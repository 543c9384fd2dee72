/** What the endpoints that steer the engine take and say. */
import { Type } from "@sinclair/typebox"
import type { Static } from "@sinclair/typebox"
import { JsonObject, nullable, optional } from "./kinds.ts"

export const ResetResult = Type.Object({ success: Type.Boolean() })
export const PausedStatus = Type.Object({ status: Type.Literal("paused") })
export const ResumedStatus = Type.Object({ status: Type.Literal("resumed") })
export const IsPaused = Type.Object({ is_paused: Type.Boolean() })
export const IsSleeping = Type.Object({ is_sleeping: Type.Boolean() })
export const SleepStatus = Type.Object({ status: Type.Literal("sleeping"), level: Type.Integer() })
export const AwakeStatus = Type.Object({ status: Type.Literal("awake"), tags: nullable(Type.Array(Type.String())) })

export const AbortRequest = Type.Object(
  { request_ids: optional(Type.Array(Type.String(), { description: "Ids of answers; none means all." })) },
  { title: "AbortRequest" },
)
export type AbortRequest = Static<typeof AbortRequest>
export const AbortResult = Type.Object({ status: Type.Literal("aborted"), aborted: Type.Integer() })

const Settings = Type.Union([Type.String(), JsonObject])
export const ServerInfo = Type.Object({ vllm_config: Settings, vllm_env: JsonObject, system_env: JsonObject })
export type ServerInfo = Static<typeof ServerInfo>
