/**
 * Whether a chat template takes message content as a string or as OpenAI's list of parts: it takes parts if it loops
 * over the content of a message. Read from the syntax tree, as vLLM does.
 */
import { walkNodes, type NodeFields } from "./template-interpreter.ts"

export type ContentFormat = "string" | "openai"

export function detectContentFormat(program: NodeFields): ContentFormat {
  const nodes = [...walkNodes(program)]
  const messages = aliases(nodes, (node) => isVariable(node, "messages"), "messages")
  const items = loopTargets(nodes, (iterable) =>
    messages.some((name) => isPart(iterable, (node) => isVariable(node, name))),
  )
  const contents = items.map((item) => (node: NodeFields) => isAttribute(node, item, "content"))
  const isContent = (node: NodeFields): boolean => contents.some((test) => isPart(node, test))
  const contentNames = aliases(nodes, (node) => contents.some((test) => test(node)), null)
  const isLoopOverContent = (iterable: NodeFields): boolean =>
    isContent(iterable) || contentNames.some((name) => isPart(iterable, (node) => isVariable(node, name)))
  return loopTargets(nodes, isLoopOverContent).length > 0 ? "openai" : "string"
}

/** Variables that are set to what `isSource` recognises or to a part of it, and those set to them in turn. */
function aliases(
  nodes: readonly NodeFields[],
  isSource: (node: NodeFields) => boolean,
  source: string | null,
): string[] {
  const names = new Set<string>(source === null ? [] : [source])
  let before = -1
  while (names.size !== before) {
    before = names.size
    for (const node of nodes) {
      const value = node.type === "Set" ? (node["value"] as NodeFields | null) : null
      const target = node["assignee"] as NodeFields | undefined
      if (value === null || target?.type !== "Identifier") continue
      const isKnown = isPart(value, (part) => isSource(part) || [...names].some((name) => isVariable(part, name)))
      if (isKnown) names.add(String(target["value"]))
    }
  }
  return [...names]
}

/** Names of the loop variables of `for x in <iterable>`. */
function loopTargets(nodes: readonly NodeFields[], isIterable: (node: NodeFields) => boolean): string[] {
  return nodes.flatMap((node) => {
    if (node.type !== "For") return []
    const iterable = node["iterable"] as NodeFields
    const source = iterable.type === "SelectExpression" ? (iterable["lhs"] as NodeFields) : iterable
    const target = node["loopvar"] as NodeFields
    return isIterable(source) ? [target.type === "Identifier" ? String(target["value"]) : ""] : []
  })
}

/** What `test` recognises, filtered, tested or sliced. */
function isPart(node: NodeFields, test: (node: NodeFields) => boolean): boolean {
  if (test(node)) return true
  if (node.type === "FilterExpression" || node.type === "TestExpression")
    return isPart(node["operand"] as NodeFields, test)
  const property = node["property"] as NodeFields | undefined
  return (
    node.type === "MemberExpression" &&
    property?.type === "SliceExpression" &&
    isPart(node["object"] as NodeFields, test)
  )
}

function isVariable(node: NodeFields, name: string): boolean {
  return node.type === "Identifier" && node["value"] === name
}

/** `item.content` or `item["content"]`. */
function isAttribute(node: NodeFields, item: string, key: string): boolean {
  if (node.type !== "MemberExpression" || !isVariable(node["object"] as NodeFields, item)) return false
  const property = node["property"] as NodeFields
  return property["value"] === key && property.type === (node["computed"] === true ? "StringLiteral" : "Identifier")
}
