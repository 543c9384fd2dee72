/** Post-processors: the special tokens that go before and after one text. */
import { ConfigError } from "../base/errors.ts"
import { describe, isObject, stepList, type StepConfig } from "./tokenizer-json.ts"

export interface SpecialFrame {
  readonly before: readonly number[]
  readonly after: readonly number[]
}

/** Throws `ConfigError` on an unknown kind, or on a template that does not hold the text exactly once. */
export function createSpecialFrame(config: StepConfig | null): SpecialFrame {
  const before: number[] = []
  const after: number[] = []
  for (const step of stepList(config, "processors", "post_processor")) {
    const frame = frameOf(step)
    before.unshift(...frame.before)
    after.push(...frame.after)
  }
  return { before, after }
}

function frameOf(step: StepConfig): SpecialFrame {
  switch (step.type) {
    case "ByteLevel": // moves offsets alone
      return { before: [], after: [] }
    case "TemplateProcessing":
      return templateFrame(step)
    case "BertProcessing":
    case "RobertaProcessing":
      return { before: [pairId(step, "cls")], after: [pairId(step, "sep")] }
    default:
      throw new ConfigError(`tokenizer: post_processor.type ${describe(step.type)} is not known`)
  }
}

/** `cls` and `sep` are [content, id]. */
function pairId(step: StepConfig, field: string): number {
  const pair = step[field]
  const id: unknown = Array.isArray(pair) ? pair[1] : undefined
  if (typeof id !== "number")
    throw new ConfigError(`tokenizer: post_processor.${field} must be [token, id], found ${describe(pair)}`)
  return id
}

function templateFrame(step: StepConfig): SpecialFrame {
  const single = step["single"]
  const tokens = isObject(step["special_tokens"]) ? step["special_tokens"] : {}
  if (!Array.isArray(single))
    throw new ConfigError(`tokenizer: post_processor.single must be a list, found ${describe(single)}`)
  const sides: number[][] = [[]]
  for (const item of single as unknown[]) {
    const entry = isObject(item) ? item : {}
    if (isObject(entry["Sequence"])) sides.push([])
    else if (isObject(entry["SpecialToken"])) sides.at(-1)!.push(...templateIds(tokens, entry["SpecialToken"]["id"]))
    else throw new ConfigError(`tokenizer: post_processor.single holds ${describe(item)}`)
  }
  const [before, after] = sides
  if (before === undefined || after === undefined || sides.length !== 2) {
    throw new ConfigError("tokenizer: post_processor.single must hold the text exactly once")
  }
  return { before, after }
}

function templateIds(tokens: Readonly<Record<string, unknown>>, name: unknown): number[] {
  const entry = typeof name === "string" && Object.hasOwn(tokens, name) ? tokens[name] : undefined
  const ids = isObject(entry) ? entry["ids"] : undefined
  if (Array.isArray(ids) && ids.every((id) => typeof id === "number")) return ids as number[]
  throw new ConfigError(`tokenizer: post_processor.special_tokens has no ids for ${describe(name)}`)
}
