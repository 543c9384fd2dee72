/**
 * Tool calls as structural tags: the grammar of an answer that must be a call, or whose calls must fit the schema of a
 * strict tool. A tag's schema becomes a grammar in src/grammar/structural-tag.ts.
 */

/** A format of a structural tag, as JSON. */
export type TagFormat = Readonly<Record<string, unknown>>

export interface CallableTool {
  readonly name: string
  /** JSON schema of the arguments. */
  readonly parameters: unknown
  /** Where the schema stands in the request, for errors. */
  readonly path: string
}

/** What stands around the arguments of a call, and between calls. */
export interface CallShape {
  readonly begin: (name: string) => string
  /** Where calls are numbered: what follows the number, which follows `begin`. Else it is missing. */
  readonly behindIndex?: string
  readonly end: string
  readonly separator: string
  /** Around all calls. */
  readonly open: string
  readonly close: string
  /** Text that begins a call, and nothing else: the calls of a strict tool are found by it. Null: there is none. */
  readonly trigger: string | null
}

/** A call as a JSON object, with `before` and `after` around it. */
export function jsonCallShape(
  argumentsKey: "arguments" | "parameters", shape: Partial<Omit<CallShape, "begin" | "end">> &
  { before?: string; after?: string } = {},
): CallShape {
  const { before = "", after = "", separator = ", ", open = "", close = "", trigger = null } = shape
  return {
    begin: (name) => `${before}{"name": ${JSON.stringify(name)}, "${argumentsKey}": `,
    end: `}${after}`, separator, open, close, trigger,
  }
}

/** Calls and nothing else: one, or with `isParallel` one or more. */
export function forcedCalls(shape: CallShape, tools: readonly CallableTool[], isParallel: boolean): TagFormat {
  const calls = {
    type: "tags_with_separator", tags: tools.map((tool) => callTag(shape, tool)), separator: shape.separator,
    at_least_one: true, stop_after_first: !isParallel,
  }
  if (shape.open === "" && shape.close === "") return calls
  return { type: "sequence", elements: [constant(shape.open), calls, constant(shape.close)] }
}

/** Any text, in which calls have the arguments of their tools. Null where the format's calls begin with no marker. */
export function checkedCalls(shape: CallShape, tools: readonly CallableTool[], isParallel: boolean): TagFormat | null {
  if (shape.trigger === null) return null
  const tags = shape.open === ""
    ? tools.map((tool) => callTag(shape, tool))
    : [{ type: "tag", begin: shape.open, content: forcedCalls({ ...shape, open: "", close: "" }, tools, isParallel),
      end: shape.close }]
  return { type: "triggered_tags", triggers: [shape.trigger], tags, stop_after_first: !isParallel }
}

function callTag(shape: CallShape, { name, parameters, path }: CallableTool): TagFormat {
  // One space, as models are trained to write it: a model that may write any number of blanks may never end.
  const schema = { type: "json_schema", json_schema: parameters, path, blanks: "one" }
  const index = { type: "regex", pattern: "0|[1-9][0-9]{0,2}" }
  const content = shape.behindIndex === undefined
    ? schema
    : { type: "sequence", elements: [index, constant(shape.behindIndex), schema] }
  return { type: "tag", begin: shape.begin(name), content, end: shape.end }
}

function constant(value: string): TagFormat {
  return { type: "const_string", value }
}
