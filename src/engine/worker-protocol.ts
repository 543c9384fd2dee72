/** Messages between the main thread and the engine's thread. Plain data: they are cloned on the way. */
import type { LogLevel } from "../base/log.ts"
import type { EngineCoreCalls, EngineCoreOutputs, EngineCoreRequest } from "./engine-core-port.ts"
import type { PackedOutputs } from "./output-codec.ts"

export type ToWorker<Config> =
  | { readonly type: "start"; readonly config: Config }
  /** A clone keeps what its parts share shared. */
  | { readonly type: "add"; readonly requests: readonly EngineCoreRequest[] }
  /** The thread that follows grammars from now on. */
  | { readonly type: "grammars"; readonly port: MessagePort; readonly masks: unknown }
  | { readonly type: "abort"; readonly requestIds: readonly string[] }
  | {
      readonly type: "call"
      readonly callId: number
      readonly name: keyof EngineCoreCalls
      readonly args: readonly unknown[]
    }
  | { readonly type: "close" }

type PackedBatch = Omit<EngineCoreOutputs, "outputs"> & { readonly outputs: PackedOutputs }

export type FromWorker<Ready> =
  | { readonly type: "notice"; readonly level: LogLevel; readonly lines: readonly string[] }
  | { readonly type: "ready"; readonly ready: Ready }
  | { readonly type: "outputs"; readonly batch: PackedBatch }
  | { readonly type: "result"; readonly callId: number; readonly value: boolean }
  | { readonly type: "failed"; readonly callId: number; readonly message: string }
  /** `isConfigError`: the start was refused because of what the user asked for. */
  | { readonly type: "dead"; readonly message: string; readonly isConfigError: boolean }
  | { readonly type: "closed" }
