/** Names of functions: in a response they may have a namespace, while a model knows them by one word. */

export interface ToolName {
  readonly name: string
  /** Null for a function of its own. */
  readonly namespace: string | null
}

/** By what the model is shown. */
export type ToolNames = ReadonlyMap<string, ToolName>

/** What the model is shown for a function: its name, with that of its namespace. */
export function shownName({ name, namespace }: ToolName): string {
  return namespace === null ? name : `${namespace}__${name}`
}

/** The function that a model's call means; a name without its namespace will do where no other function has it. */
export function calledName(called: string, names: ToolNames): ToolName {
  const exact = names.get(called)
  if (exact !== undefined) return exact
  const alike = [...names.values()].filter(({ name }) => name === called)
  return alike.length === 1 ? alike[0]! : { name: called, namespace: null }
}
