/**
 * The JSON-Schema-Test-Suite against our grammars. A schema is refused by keyword and path, or else
 *   - every random text of its grammar is valid for ajv,
 *   - every valid instance of the suite is a text of it, and no invalid one is.
 *
 *     make schema-suite            prints what disagrees, and the table of docs/structured-output.md
 */
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import Ajv from "ajv"
import Ajv2020 from "ajv/dist/2020"
import addFormats from "ajv-formats"
import { XGrammarError, type CompiledGrammar, type GrammarCompiler } from "xgrammar-wasm"
import { compileSchema } from "../../src/grammar/schema/compile-schema.ts"
import type { Draft } from "../../src/grammar/schema/references.ts"
import { SchemaError } from "../../src/grammar/schema/schema-error.ts"
import { admits, randomText } from "../tools/random-text.ts"
import { REPOSITORY } from "../tools/source-tree.ts"

export const SUITE = join(REPOSITORY, "build/deps/json-schema-test-suite")
export const isSuiteThere = existsSync(join(SUITE, "draft7"))

interface Group {
  readonly description: string
  readonly schema: unknown
  readonly tests: readonly { readonly description: string; readonly data: unknown; readonly valid: boolean }[]
}

export interface FileResult {
  readonly file: string
  schemas: number
  accepted: number
  /** Refused because they refer to other documents. */
  remote: number
  readonly refusals: string[]
  texts: number
  instances: number
  /** Each is a line of words. */
  readonly wrongTexts: string[]
  readonly missedInstances: string[]
  readonly admittedInvalid: string[]
}

/** The files of a draft in order; those of its folder "optional" are left out. */
export function suiteFiles(draft: Draft): string[] {
  return readdirSync(join(SUITE, `draft${draft}`)).filter((name) => name.endsWith(".json")).sort()
}

export function checkFile(
  file: string, draft: Draft, compiler: GrammarCompiler, random: () => number, draws: number,
): FileResult {
  const result: FileResult = {
    file, schemas: 0, accepted: 0, remote: 0, refusals: [], texts: 0, instances: 0, wrongTexts: [], missedInstances: [],
    admittedInvalid: [],
  }
  const groups = JSON.parse(readFileSync(join(SUITE, `draft${draft}`, file), "utf8")) as Group[]
  for (const group of groups) {
    result.schemas++
    const grammar = compileOrRefuse(group, draft, compiler, result)
    if (grammar === null) continue
    result.accepted++
    checkTexts(group, draft, grammar, random, draws, result)
    checkInstances(group, grammar, result)
    grammar[Symbol.dispose]()
  }
  return result
}

function compileOrRefuse(
  { description, schema }: Group, draft: Draft, compiler: GrammarCompiler, result: FileResult,
): CompiledGrammar | null {
  try {
    return compiler.compile("ebnf", compileSchema(schema, { draft }))
  } catch (error) {
    if (!(error instanceof SchemaError) && !(error instanceof XGrammarError)) throw error
    if (error.message.includes("outside of the schema")) result.remote++
    result.refusals.push(`${description}: ${error.message}`)
    return null
  }
}

function checkTexts(
  group: Group, draft: Draft, grammar: CompiledGrammar, random: () => number, draws: number,
  result: FileResult,
): void {
  const { description } = group
  const validate = validatorOf(group, draft)
  for (let i = 0; i < draws; i++) {
    const { text, isWhole } = randomText(grammar, random)
    if (!isWhole) continue
    result.texts++
    const value = JSON.parse(text) as unknown
    if (validate !== null && !validate(value)) result.wrongTexts.push(`${description}: ${text}`)
  }
}

/** Null: ajv refuses the schema, or is wrong about an instance of the suite, and so no judge of other values. */
function validatorOf({ schema, tests }: Group, draft: Draft): ((value: unknown) => boolean) | null {
  const options = { strict: false, multipleOfPrecision: 9, logger: false as const, validateSchema: false }
  const ajv = draft === "7" ? new Ajv(options) : new Ajv2020(options)
  addFormats(ajv as Ajv)
  try {
    const validate = ajv.compile(schema as object)
    // Formats are no assertions for the suite, and are for us.
    const isRight = tests.every(({ data, valid }) => validate(data) === valid || (valid && hasFormat(schema)))
    return isRight ? (value) => validate(value) === true : null
  } catch {
    return null
  }
}

function hasFormat(schema: unknown): boolean {
  return JSON.stringify(schema).includes("\"format\":")
}

function checkInstances({ description, tests }: Group, grammar: CompiledGrammar, result: FileResult): void {
  for (const { description: what, data, valid } of tests) {
    result.instances++
    const text = JSON.stringify(data)
    const isAdmitted = admits(grammar, text)
    if (isAdmitted === valid) continue
    if (valid) result.missedInstances.push(`${description}: ${what}: ${text}`)
    else result.admittedInvalid.push(`${description}: ${what}: ${text}`)
  }
}
