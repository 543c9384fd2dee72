/**
 * Whether a chat template takes message content as a string or as OpenAI's list of parts: it takes parts if it loops
 * over the content of a message. Read from the syntax tree, as vLLM does.
 */
import { walk, type Expression, type Node, type Statement, type Target } from "./jinja/syntax.ts"

export type ContentFormat = "string" | "openai"

type Predicate = (expression: Expression) => boolean

export function detectContentFormat(statements: readonly Statement[]): ContentFormat {
  const nodes = [...walk(statements)]
  const messages = aliases(nodes, isVariable("messages"), ["messages"])
  const items = loopTargets(nodes, (iterable) => messages.some((name) => isPart(iterable, isVariable(name))))
  const isContent: Predicate = (node) => items.some((item) => isAttribute(node, item, "content"))
  const names = aliases(nodes, isContent, [])
  const isLoopOverContent: Predicate = (iterable) =>
    isPart(iterable, isContent) || names.some((name) => isPart(iterable, isVariable(name)))
  return loopTargets(nodes, isLoopOverContent).length > 0 ? "openai" : "string"
}

/** `known`, the variables that are set to what `isSource` recognises or a part of it, and those set to them in turn. */
function aliases(nodes: readonly Node[], isSource: Predicate, known: readonly string[]): string[] {
  const names = new Set(known)
  let before = -1
  while (names.size !== before) {
    before = names.size
    for (const node of nodes) {
      if (node.type !== "set" || node.target.type !== "name") continue
      if (isPart(node.value, (part) => isSource(part) || (part.type === "name" && names.has(part.name)))) {
        names.add(node.target.name)
      }
    }
  }
  return [...names]
}

/** Names of the loop variables of `for x in <iterable>`. */
function loopTargets(nodes: readonly Node[], isIterable: Predicate): string[] {
  return nodes.flatMap((node) => (node.type === "for" && isIterable(node.iterable) ? [targetName(node.target)] : []))
}

function targetName(target: Target): string {
  return target.type === "name" ? target.name : ""
}

/** What `test` recognises, filtered, tested or sliced. */
function isPart(expression: Expression, test: Predicate): boolean {
  for (let part: Expression | null = expression; part !== null; ) {
    if (test(part)) return true
    if (part.type === "filter" || part.type === "test") part = part.value
    else if (part.type === "slice") part = part.object
    else return false
  }
  return false
}

function isVariable(name: string): Predicate {
  return (expression) => expression.type === "name" && expression.name === name
}

/** `item.content` or `item["content"]`. */
function isAttribute(expression: Expression, item: string, key: string): boolean {
  if (expression.type !== "attribute" && expression.type !== "item") return false
  if (!isVariable(item)(expression.object)) return false
  if (expression.type === "attribute") return expression.name === key
  return expression.key.type === "constant" && expression.key.value === key
}
