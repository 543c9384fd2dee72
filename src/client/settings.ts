/** How answers are sampled: what flags and `/set` may say, and the request's field that it goes into. */
import { ConfigError } from "../base/errors.ts"

export type SettingValue = number | readonly string[]
/** By the request's field. */
export type Settings = ReadonlyMap<string, SettingValue>

interface Setting {
  readonly help: string
  /** Null when the words are no such value. */
  readonly parse: (text: string) => SettingValue | null
}

const number = (text: string): number | null =>
  text.trim() !== "" && Number.isFinite(Number(text)) ? Number(text) : null
const whole = (text: string): number | null => (/^-?\d+$/.test(text) ? Number(text) : null)
const list = (text: string): string[] => text.split(",")

/** By the request's field; flags have the same names with dashes. Limits are the server's business. */
export const SETTINGS = {
  temperature: { help: "0 always takes the likeliest token", parse: number },
  top_p: { help: "sample from the likeliest tokens of this share", parse: number },
  top_k: { help: "sample from so many tokens; 0 is all", parse: whole },
  min_p: { help: "leave out tokens below this share of the likeliest one", parse: number },
  repetition_penalty: { help: "above 1 avoids tokens that were there before", parse: number },
  presence_penalty: { help: "above 0 avoids tokens of the answer so far", parse: number },
  frequency_penalty: { help: "the same, by how often they came", parse: number },
  seed: { help: "repeats an answer", parse: whole },
  max_tokens: { help: "tokens of an answer, at most", parse: whole },
  stop: { help: "text that ends an answer; several separated by commas", parse: list },
} as const satisfies Record<string, Setting>

/** Errors: `ConfigError` for an unknown name and for what is no value of it. */
export function withSetting(settings: Settings, name: string, text: string): Settings {
  const field = name.replaceAll("-", "_")
  if (!Object.hasOwn(SETTINGS, field))
    throw new ConfigError(`no setting is called ${name}; there are ${Object.keys(SETTINGS).join(", ")}`)
  const value = SETTINGS[field as keyof typeof SETTINGS].parse(text)
  if (value === null) throw new ConfigError(`${name} cannot be ${JSON.stringify(text)}`)
  return new Map(settings).set(field, value)
}

export function withoutSetting(settings: Settings, name: string): Settings {
  const rest = new Map(settings)
  rest.delete(name.replaceAll("-", "_"))
  return rest
}
