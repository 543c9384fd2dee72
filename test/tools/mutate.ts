/** Spoils a JSON value in one place, the way careless and hostile clients do. */
import { pick } from "./json-schema.ts"
import type { Random } from "./json-schema.ts"

const DEPTH = 20_000

/** Values that are seldom right. Deep ones are text, which no recursive writer has to get through. */
const SPOILERS: readonly string[] = [
  "null", "true", "0", "-1", "1e308", "-1e308", "1e999", "9007199254740993", "1.5", '""', '"5"', '"yes"', "[]", "{}",
  "[[[]]]", "[null]", '{"__proto__":{"a":1}}', '{"constructor":null,"toString":1}', '"\\ud800"', '"\\u0000\\uffff"',
  JSON.stringify("🙂é".repeat(2000)), JSON.stringify("%{x}{{ 1 }}</s><|im_end|>"), `[${"1,".repeat(5000)}1]`,
  `${"[".repeat(DEPTH)}${"]".repeat(DEPTH)}`, `${'{"a":'.repeat(DEPTH)}1${"}".repeat(DEPTH)}`,
]

/** `value` as JSON text: with one part replaced, a field left out or an unknown one added, or the text itself broken. */
export function spoiled(value: unknown, random: Random): string {
  const text = JSON.stringify(value)
  const chance = random()
  if (chance < 0.05) return text.slice(0, Math.floor(random() * text.length))
  if (chance < 0.1) return pick(random, SPOILERS)
  return spoil(value, random)
}

function spoil(value: unknown, random: Random): string {
  if (typeof value !== "object" || value === null) return pick(random, SPOILERS)
  if (Array.isArray(value)) {
    if (value.length === 0 || random() < 0.3) return pick(random, SPOILERS)
    const at = Math.floor(random() * value.length)
    return `[${value.map((item, i) => (i === at ? spoil(item, random) : JSON.stringify(item))).join(",")}]`
  }
  const names = Object.keys(value)
  const at = pick(random, [...names, ...names, "wibble"])
  const fields = Object.entries({ ...value, [at]: (value as Record<string, unknown>)[at] })
    .filter(([name]) => name !== at || random() > 0.1)
    .map(([name, item]) => `${JSON.stringify(name)}:${name === at ? spoil(item, random) : JSON.stringify(item)}`)
  return `{${fields.join(",")}}`
}
