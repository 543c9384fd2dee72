/** JSON with its numbers as they are written: 1.0 stays a float, integers of any length keep their digits. */

const RAW = JSON as unknown as { rawJSON(text: string): unknown }

type Reviver = (key: string, value: unknown, context: { source: string }) => unknown

export function parseExactJson(text: string): unknown {
  const revive: Reviver = (_, value, { source }) => (typeof value === "number" ? RAW.rawJSON(source) : value)
  return JSON.parse(text, revive as Parameters<typeof JSON.parse>[1])
}
