/** Carries out the statements of a template. */
import { Evaluator } from "./evaluator.ts"
import { TemplateFault, typeError, valueError } from "./errors.ts"
import { Loop } from "./loop.ts"
import { createMacro } from "./macro.ts"
import { isTrue, iterate, listOf } from "./operators.ts"
import { str } from "./representation.ts"
import { Scope } from "./scope.ts"
import type { FilterExpression, ForStatement, Statement, Target } from "./syntax.ts"
import { Namespace, typeName, type Value } from "./values.ts"

/** How a statement ended: with `break` or `continue` of the loop around it, or in itself. */
type Ending = "break" | "continue" | null

/** Text of a template, piece by piece. */
type Output = string[]

export class Interpreter extends Evaluator {
  #root = new Scope(null)
  /** UTF-16 units of all text so far, that of macros and blocks counted again where it is used. */
  #length = 0

  /** The text of a template in a scope that holds its variables. */
  run(statements: readonly Statement[], variables: Scope): string {
    this.#root = new Scope(variables, new Map())
    return this.render(statements, this.#root)
  }

  /** The text of statements by themselves, as of a macro's body. */
  render(statements: readonly Statement[], scope: Scope): string {
    const output: Output = []
    this.#runAll(statements, scope, output)
    return output.join("")
  }

  #runAll(statements: readonly Statement[], scope: Scope, output: Output): Ending {
    for (const statement of statements) {
      const ending = this.#run(statement, scope, output)
      if (ending !== null) return ending
    }
    return null
  }

  #write(text: string, output: Output): void {
    this.#length += text.length
    this.limits.scan(text.length)
    if (this.#length > this.limits.maxText) this.limits.text(this.#length)
    output.push(text)
  }

  #run(statement: Statement, scope: Scope, output: Output): Ending {
    if (statement.type === "text") {
      this.#write(statement.text, output)
      return null
    }
    this.limits.enter()
    const ending = this.#runNested(statement, scope, output)
    this.limits.leave()
    return ending
  }

  #runNested(statement: Exclude<Statement, { type: "text" }>, scope: Scope, output: Output): Ending {
    switch (statement.type) {
      case "print":
        this.#write(str(this.evaluate(statement.value, scope), this.limits), output)
        return null
      case "set":
        this.#assign(statement.target, this.evaluate(statement.value, scope), scope)
        return null
      case "set_block": {
        const text = this.render(statement.body, new Scope(scope))
        this.#assign(statement.target, this.#filtered(text, statement.filter, scope), scope)
        return null
      }
      case "if": {
        const branch = statement.branches.find(({ test }) => isTrue(this.evaluate(test, scope)))
        return this.#runAll(branch?.body ?? statement.otherwise, scope, output)
      }
      case "for":
        return this.#runFor(statement, this.evaluate(statement.iterable, scope), scope, 0, output)
      case "break":
      case "continue":
        return statement.type
      case "macro":
        scope.set(statement.macro.name, createMacro(statement.macro, scope, this))
        return null
      case "call_block": {
        const callee = this.evaluate(statement.call.callee, scope)
        const args = this.arguments(statement.call.args, scope)
        const named = new Map([...args.named, ["caller", createMacro(statement.caller, scope, this)] as const])
        this.#write(str(this.call(callee, { ...args, named }), this.limits), output)
        return null
      }
      case "filter_block": {
        const inner = new Scope(scope)
        const text = this.#filtered(this.render(statement.body, inner), statement.filter, inner)
        this.#write(str(text, this.limits), output)
        return null
      }
      case "with": {
        const inner = new Scope(scope)
        const values = statement.assignments.map(({ value }) => this.evaluate(value, scope))
        statement.assignments.forEach(({ target }, i) => this.#assign(target, values[i]!, inner))
        return this.#runAll(statement.body, inner, output)
      }
      case "block":
        return this.#runAll(statement.body, new Scope(statement.isScoped ? scope : this.#root), output)
      case "unsupported":
        throw typeError(statement.message)
    }
  }

  /** Filters of a block, the outermost last. */
  #filtered(text: string, filter: FilterExpression | null, scope: Scope): Value {
    if (filter === null) return text
    const value = filter.value === null ? text : this.#filtered(text, filter.value as FilterExpression, scope)
    return this.applyFilter(filter.name, value, this.arguments(filter.args, scope))
  }

  #runFor(statement: ForStatement, items: Value, scope: Scope, depth: number, output: Output): Ending {
    const recurse = statement.isRecursive
      ? (inner: Value, innerDepth: number): Value => {
          const text: Output = []
          this.limits.enter()
          this.#runFor(statement, inner, scope, innerDepth, text)
          this.limits.leave()
          return text.join("")
        }
      : null
    const iterator = statement.test === null
      ? iterate(items, this.limits)
      : this.#selected(statement, items, scope)
    const loop = new Loop(iterator, statement.test === null ? items : true, depth, recurse, this.limits)
    let isEmpty = true
    for (let item = loop.next(); item !== undefined; item = loop.next()) {
      this.limits.step()
      const inner = new Scope(scope)
      inner.set("loop", loop)
      this.#assign(statement.target, item, inner)
      const ending = this.#runAll(statement.body, inner, output)
      if (ending === "break") break
      // Only a turn that comes to its end keeps Jinja from taking the `else`.
      if (ending === null) isEmpty = false
    }
    return isEmpty ? this.#runAll(statement.otherwise, new Scope(scope), output) : null
  }

  /** The items for which the test of `for` holds, tested when the loop comes to them. */
  *#selected(statement: ForStatement, items: Value, scope: Scope): Generator<Value> {
    const iterator = iterate(items, this.limits)
    for (let next = iterator.next(); next.done !== true; next = iterator.next()) {
      this.limits.step()
      const inner = new Scope(scope)
      this.#assign(statement.target, next.value, inner)
      if (isTrue(this.evaluate(statement.test!, inner))) yield next.value
    }
  }

  #assign(target: Target, value: Value, scope: Scope): void {
    if (target.type === "name") {
      scope.set(target.name, value)
    } else if (target.type === "namespace") {
      const namespace = scope.get(target.namespace)
      if (!(namespace instanceof Namespace)) {
        const message = `cannot assign attribute on non-namespace object of type ${typeName(namespace)}`
        throw new TemplateFault("TemplateRuntimeError", message)
      }
      namespace.set(target.name, value)
    } else {
      const values = listOf(value, this.limits)
      if (values.length !== target.items.length) {
        const amount = values.length < target.items.length ? "not enough" : "too many"
        throw valueError(`${amount} values to unpack (expected ${target.items.length}, got ${values.length})`)
      }
      target.items.forEach((item, i) => this.#assign(item, values[i]!, scope))
    }
  }
}
