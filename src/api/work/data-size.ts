/** What a value of JSON counts beside the characters of a string: a template takes some steps for each. */
const VALUE_UNITS = 64

/**
 * How much work it is to go through `value`, in UTF-16 units of text. Beyond `limit` it only says that it is more, so
 * that large values take no time here.
 */
export function dataSize(value: unknown, limit: number): number {
  const rest = [value]
  let size = 0
  while (rest.length > 0 && size <= limit) {
    const item = rest.pop()
    size += VALUE_UNITS
    if (typeof item === "string") size += item.length
    if (typeof item !== "object" || item === null) continue
    const items = Array.isArray(item) ? item : Object.values(item)
    // They would be too many to look at.
    if (items.length * VALUE_UNITS > limit) return Infinity
    for (const each of items) rest.push(each)
  }
  return size
}
