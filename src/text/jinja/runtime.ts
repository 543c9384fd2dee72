/** What filters, tests and methods may use of the interpreter that calls them. */
import type { Limits } from "./limits.ts"
import type { Arguments, Value } from "./values.ts"

export interface Runtime {
  readonly limits: Limits
  /** `value|name(args)`. */
  applyFilter(name: string, value: Value, args: Arguments): Value
  /** `value is name(args)`. */
  applyTest(name: string, value: Value, args: Arguments): boolean
  call(callee: Value, args: Arguments): Value
  /** `object.name`. */
  attribute(object: Value, name: string): Value
  /** `object[key]`. */
  item(object: Value, key: Value): Value
}

export type Filter = (value: Value, args: Arguments, runtime: Runtime) => Value
export type Test = (value: Value, args: Arguments, runtime: Runtime) => boolean
