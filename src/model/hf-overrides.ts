/** `--hf-overrides`: keys that the user sets in a model's config, or removes from it. */
import { ConfigError } from "../base/errors.ts"

export type HfOverrides = Readonly<Record<string, unknown>>
type Section = Record<string, unknown>

/** Where rotary parameters stand: a section, or an older one under another name. */
const ROPE_SECTIONS = ["rope_parameters", "rope_scaling"]
/** Keys of those sections that say nothing about scaling; config.json may hold them beside the section too. */
const ROPE_BASE_KEYS = ["rope_theta", "partial_rotary_factor"]

/**
 * A copy of `config` with each key of `overrides` set to its value, or removed where that is null. An object replaces
 * what was there. A key with dots leads into sections ("rope_scaling.factor"), unless config has a key of that name.
 *
 * An override counts wherever the config keeps the value: `rope_theta` wins over the sections that state it, and
 * `rope_scaling` replaces the scaling of `rope_parameters`, and the other way round, as both mean the same.
 * Errors: `ConfigError` for a key that leads into something that is no section.
 */
export function applyHfOverrides(config: Readonly<Section>, overrides: HfOverrides): Section {
  const result = structuredClone(config) as Section
  for (const key of Object.keys(overrides)) {
    if (ROPE_BASE_KEYS.includes(key)) for (const section of ropeSections(result)) delete section[key]
    if (ROPE_SECTIONS.includes(key)) removeScaling(result)
  }
  for (const [key, value] of Object.entries(overrides)) assign(result, key, value)
  return result
}

function ropeSections(config: Section): Section[] {
  return ROPE_SECTIONS.map((name) => config[name]).filter(isSection)
}

function removeScaling(config: Section): void {
  for (const section of ropeSections(config)) {
    for (const key of Object.keys(section)) if (!ROPE_BASE_KEYS.includes(key)) delete section[key]
  }
}

function assign(config: Section, key: string, value: unknown): void {
  const [target, name] = Object.hasOwn(config, key) ? [config, key] : sectionOf(config, key)
  if (value === null) delete target[name]
  else target[name] = value
}

/** The section that a key with dots leads to, made where it is missing, and the key in it. */
function sectionOf(config: Section, key: string): [Section, string] {
  const steps = key.split(".")
  const name = steps.pop()!
  let section = config
  for (const step of steps) {
    const next = (Object.hasOwn(section, step) ? section[step] : null) ?? (section[step] = {})
    if (!isSection(next)) throw new ConfigError(`--hf-overrides: ${key} leads into ${step}, which is not an object`)
    section = next
  }
  return [section, name]
}

function isSection(value: unknown): value is Section {
  return typeof value === "object" && value !== null && !Array.isArray(value)
}
