/** The syntax tree of a template. */
import type { ArithmeticOperator } from "./arithmetic.ts"
import type { Value } from "./values.ts"

export interface CallArguments {
  readonly positional: readonly Expression[]
  readonly named: readonly (readonly [name: string, value: Expression])[]
  /** `*list` and `**dict`. */
  readonly list: Expression | null
  readonly dict: Expression | null
}

export type CompareOperator = "==" | "!=" | "<" | "<=" | ">" | ">=" | "in" | "not in"

export interface Name { readonly type: "name"; readonly name: string }

export type Expression =
  | Name
  | { readonly type: "constant"; readonly value: Value }
  | { readonly type: "list" | "tuple"; readonly items: readonly Expression[] }
  | { readonly type: "dict"; readonly entries: readonly (readonly [Expression, Expression])[] }
  | { readonly type: "attribute"; readonly object: Expression; readonly name: string }
  | { readonly type: "item"; readonly object: Expression; readonly key: Expression }
  | { readonly type: "slice"; readonly object: Expression; readonly parts: readonly (Expression | null)[] }
  | { readonly type: "call"; readonly callee: Expression; readonly args: CallArguments }
  /** `value|name(args)`; the value is null where a block is filtered. */
  | { readonly type: "filter"; readonly value: Expression | null; readonly name: string; readonly args: CallArguments }
  | { readonly type: "test"; readonly value: Expression; readonly name: string; readonly args: CallArguments }
  | {
      readonly type: "conditional"
      readonly test: Expression
      readonly then: Expression
      readonly otherwise: Expression | null
    }
  | { readonly type: "and" | "or"; readonly left: Expression; readonly right: Expression }
  | { readonly type: "not"; readonly value: Expression }
  | { readonly type: "sign"; readonly sign: "+" | "-"; readonly value: Expression }
  | {
      readonly type: "arithmetic"
      readonly operator: ArithmeticOperator
      readonly left: Expression
      readonly right: Expression
    }
  | { readonly type: "concatenation"; readonly parts: readonly Expression[] }
  | {
      readonly type: "comparison"
      readonly first: Expression
      readonly rest: readonly { readonly operator: CompareOperator; readonly value: Expression }[]
    }

export type FilterExpression = Extract<Expression, { type: "filter" }>
export type CallExpression = Extract<Expression, { type: "call" }>

/** What can be assigned to: a name, names in tuples, an attribute of a namespace. */
export type Target =
  | Name
  | { readonly type: "targets"; readonly items: readonly Target[] }
  | { readonly type: "namespace"; readonly namespace: string; readonly name: string }

export interface Parameter {
  readonly name: string
  readonly fallback: Expression | null
}

export interface MacroDefinition {
  readonly name: string
  readonly parameters: readonly Parameter[]
  readonly body: readonly Statement[]
}

export type Statement =
  | { readonly type: "text"; readonly text: string }
  | { readonly type: "print"; readonly value: Expression }
  | { readonly type: "set"; readonly target: Target; readonly value: Expression }
  | {
      readonly type: "set_block"
      readonly target: Target
      readonly filter: FilterExpression | null
      readonly body: readonly Statement[]
    }
  | {
      readonly type: "if"
      readonly branches: readonly { readonly test: Expression; readonly body: readonly Statement[] }[]
      readonly otherwise: readonly Statement[]
    }
  | ForStatement
  | { readonly type: "break" | "continue" }
  | { readonly type: "macro"; readonly macro: MacroDefinition }
  | { readonly type: "call_block"; readonly call: CallExpression; readonly caller: MacroDefinition }
  | { readonly type: "filter_block"; readonly filter: FilterExpression; readonly body: readonly Statement[] }
  | {
      readonly type: "with"
      readonly assignments: readonly { readonly target: Target; readonly value: Expression }[]
      readonly body: readonly Statement[]
    }
  /** `{% block %}` sees the variables of the template alone; `{% generation %}` and `{% block scoped %}` see all. */
  | { readonly type: "block"; readonly isScoped: boolean; readonly body: readonly Statement[] }
  /** A tag that is understood but cannot be carried out: it fails when it is reached, as in Jinja. */
  | { readonly type: "unsupported"; readonly message: string }

export interface ForStatement {
  readonly type: "for"
  readonly target: Target
  readonly iterable: Expression
  readonly test: Expression | null
  readonly isRecursive: boolean
  readonly body: readonly Statement[]
  readonly otherwise: readonly Statement[]
}

export type Node = Expression | Statement | Target

/** All expressions, statements and targets in `root`, from the outside in. */
export function* walk(root: unknown): Generator<Node> {
  const stack: unknown[] = [root]
  while (stack.length > 0) {
    const value = stack.pop()
    if (typeof value !== "object" || value === null) continue
    if (!Array.isArray(value) && typeof (value as { type?: unknown }).type === "string") yield value as Node
    if ((value as { type?: unknown }).type === "constant") continue
    const children = Array.isArray(value) ? value : Object.values(value)
    for (let i = children.length - 1; i >= 0; i--) stack.push(children[i])
  }
}
