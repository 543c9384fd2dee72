/** How deep JSON is nested: what walks it by recursion, as templates and schemas do, must not run out of stack. */

/** As much as pydantic reads. */
export const MAX_NESTING = 200

/** Whether lists and objects stand in each other more than `limit` deep; a list of numbers is one deep. */
export function isNestedDeeper(value: unknown, limit: number): boolean {
  let level = [value].filter(isContainer)
  for (let depth = 0; depth < limit && level.length > 0; depth++) {
    const next: object[] = []
    for (const container of level) {
      for (const item of Array.isArray(container) ? container : Object.values(container)) {
        if (isContainer(item)) next.push(item)
      }
    }
    level = next
  }
  return level.length > 0
}

function isContainer(value: unknown): value is object {
  return typeof value === "object" && value !== null
}
