/** Evaluates expressions. */
import { attributeOf, itemOf, slice } from "./attributes.ts"
import { calculate, concatenate, negate } from "./arithmetic.ts"
import { TemplateFault, typeError } from "./errors.ts"
import type { Limits } from "./limits.ts"
import { compare, contains, equals, isTrue, listOf } from "./operators.ts"
import { str } from "./representation.ts"
import type { Filter, Runtime, Test } from "./runtime.ts"
import type { Scope } from "./scope.ts"
import { SEQUENCE_FILTERS } from "./sequence-filters.ts"
import type { CallArguments, CompareOperator, Expression } from "./syntax.ts"
import { TESTS } from "./tests.ts"
import { TEXT_FILTERS } from "./text-filters.ts"
import {
  Callable, Dict, isText, textOf, Tuple, typeName, Undefined, type Arguments, type Value,
} from "./values.ts"

const FILTERS: ReadonlyMap<string, Filter> = new Map([...TEXT_FILTERS, ...SEQUENCE_FILTERS])

/** Tests of the names that filters and tests have. */
const NAME_TESTS: ReadonlyMap<string, Test> = new Map<string, Test>([
  ["filter", (value) => isText(value) && FILTERS.has(textOf(value))],
  ["test", (value) => isText(value) && (TESTS.has(textOf(value)) || NAME_TESTS.has(textOf(value)))],
])

export class Evaluator implements Runtime {
  readonly limits: Limits

  constructor(limits: Limits) {
    this.limits = limits
  }

  evaluate(expression: Expression, scope: Scope): Value {
    if (expression.type === "constant") return expression.value
    if (expression.type === "name") {
      this.limits.step()
      return scope.get(expression.name)
    }
    this.limits.enter()
    const value = this.#evaluate(expression, scope)
    this.limits.leave()
    return value
  }

  #evaluate(expression: Exclude<Expression, { type: "constant" | "name" }>, scope: Scope): Value {
    switch (expression.type) {
      case "attribute": return this.attribute(this.evaluate(expression.object, scope), expression.name)
      case "item": {
        const object = this.evaluate(expression.object, scope)
        return this.item(object, this.evaluate(expression.key, scope))
      }
      case "slice": {
        const object = this.evaluate(expression.object, scope)
        const [start, stop, step] = expression.parts.map((part) => (part === null ? null : this.evaluate(part, scope)))
        return slice(object, [start!, stop!, step!], this.limits)
      }
      case "call": {
        const callee = this.evaluate(expression.callee, scope)
        return this.call(callee, this.arguments(expression.args, scope))
      }
      case "filter": {
        const value = expression.value === null ? null : this.evaluate(expression.value, scope)
        return this.applyFilter(expression.name, value, this.arguments(expression.args, scope))
      }
      case "test": {
        const value = this.evaluate(expression.value, scope)
        return this.applyTest(expression.name, value, this.arguments(expression.args, scope))
      }
      case "conditional":
        if (isTrue(this.evaluate(expression.test, scope))) return this.evaluate(expression.then, scope)
        if (expression.otherwise !== null) return this.evaluate(expression.otherwise, scope)
        return new Undefined("the inline if-expression evaluated to false and no else section was defined.")
      case "and": {
        const left = this.evaluate(expression.left, scope)
        return isTrue(left) ? this.evaluate(expression.right, scope) : left
      }
      case "or": {
        const left = this.evaluate(expression.left, scope)
        return isTrue(left) ? left : this.evaluate(expression.right, scope)
      }
      case "not": return !isTrue(this.evaluate(expression.value, scope))
      case "sign": return negate(this.evaluate(expression.value, scope), expression.sign)
      case "arithmetic": {
        const left = this.evaluate(expression.left, scope)
        return calculate(expression.operator, left, this.evaluate(expression.right, scope), this.limits)
      }
      case "concatenation":
        return expression.parts
          .map((part) => str(this.evaluate(part, scope), this.limits))
          .reduce((text, part) => concatenate(text, part, this.limits), "")
      case "comparison": return this.#compareAll(expression, scope)
      case "list": return expression.items.map((item) => this.evaluate(item, scope))
      case "tuple": return new Tuple(expression.items.map((item) => this.evaluate(item, scope)))
      case "dict":
        return new Dict(expression.entries.map(([key, value]) => (
          [this.evaluate(key, scope), this.evaluate(value, scope)] as const
        )))
    }
  }

  /** `a < b < c` holds where both do; what follows the first that does not is not evaluated. */
  #compareAll({ first, rest }: Extract<Expression, { type: "comparison" }>, scope: Scope): boolean {
    let left = this.evaluate(first, scope)
    for (const { operator, value } of rest) {
      const right = this.evaluate(value, scope)
      if (!this.#compare(operator, left, right)) return false
      left = right
    }
    return true
  }

  #compare(operator: CompareOperator, left: Value, right: Value): boolean {
    switch (operator) {
      case "==": return equals(left, right, this.limits)
      case "!=": return !equals(left, right, this.limits)
      case "in": return contains(right, left, this.limits)
      case "not in": return !contains(right, left, this.limits)
      case "<": return compare(left, right, operator, this.limits) < 0
      case "<=": return compare(left, right, operator, this.limits) <= 0
      case ">": return compare(left, right, operator, this.limits) > 0
      case ">=": return compare(left, right, operator, this.limits) >= 0
    }
  }

  arguments({ positional, named, list, dict }: CallArguments, scope: Scope): Arguments {
    const values = positional.map((value) => this.evaluate(value, scope))
    const names = new Map(named.map(([name, value]) => [name, this.evaluate(value, scope)]))
    if (list !== null) values.push(...listOf(this.evaluate(list, scope), this.limits))
    if (dict !== null) {
      const further = this.evaluate(dict, scope)
      if (!(further instanceof Dict)) throw typeError(`argument after ** must be a mapping, not ${typeName(further)}`)
      for (const [key, value] of further.entries()) {
        if (!isText(key)) throw typeError("keywords must be strings")
        names.set(textOf(key), value)
      }
    }
    return { positional: values, named: names }
  }

  applyFilter(name: string, value: Value, args: Arguments): Value {
    const filter = FILTERS.get(name)
    if (filter === undefined) throw new TemplateFault("TemplateRuntimeError", `No filter named '${name}'.`)
    this.limits.step()
    return filter(value, args, this)
  }

  applyTest(name: string, value: Value, args: Arguments): boolean {
    const test = TESTS.get(name) ?? NAME_TESTS.get(name)
    if (test === undefined) throw new TemplateFault("TemplateRuntimeError", `No test named '${name}'.`)
    this.limits.step()
    return test(value, args, this)
  }

  attribute(object: Value, name: string): Value {
    return attributeOf(object, name, this)
  }

  item(object: Value, key: Value): Value {
    return itemOf(object, key, this)
  }

  call(callee: Value, args: Arguments): Value {
    if (callee instanceof Undefined) callee.fail()
    if (!(callee instanceof Callable)) throw typeError(`'${typeName(callee)}' object is not callable`)
    this.limits.step()
    return callee.call(args)
  }
}
