/** What a request that is not answered gets instead. */
import { Type } from "@sinclair/typebox"
import type { Static } from "@sinclair/typebox"
import { nullable } from "./kinds.ts"

export const ErrorBody = Type.Object({
  error: Type.Object({
    message: Type.String(),
    type: Type.String(),
    param: nullable(Type.String()),
    code: Type.Union([Type.Integer(), Type.Literal("context_length_exceeded")], {
      description: "The status, or the name of an error that clients react to by themselves.",
    }),
  }),
}, { title: "Error" })
export type ErrorBody = Static<typeof ErrorBody>

export const Unauthorized = Type.Object({ error: Type.Literal("Unauthorized") }, { title: "Unauthorized" })
export type Unauthorized = Static<typeof Unauthorized>
