/** What the rules of arrays and objects are written with. */
import type { Automaton } from "../automata/automaton.ts"
import type { Dfa } from "../automata/dfa.ts"
import type { Alternative, Grammar, Item } from "./grammar-text.ts"
import type { Expanding } from "./keyword.ts"
import type { Node } from "./node.ts"
import type { SchemaError } from "./schema-error.ts"

export interface EmitContext {
  readonly grammar: Grammar
  readonly expander: Pick<Expanding, "nodes" | "shapeOf">
  /** See `EmitOptions`. */
  readonly closesObjects: boolean
  /** Blanks, if there may be any. */
  readonly blanks: Alternative
  /** The rule of a value, written when its turn comes: schemas may lead back to themselves. */
  value(node: Node): Item
  freshName(prefix: string): string
  /** A sign between parts, and the blanks around it. */
  separator(sign: string): Alternative
  /** For the schema whose rule is being written. */
  refuse(keyword: string, reason: string): SchemaError
  /** Null: no text. Errors: `SchemaError` for too many states. */
  explore(automaton: Automaton): Dfa | null
}
