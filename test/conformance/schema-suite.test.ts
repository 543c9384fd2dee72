/** The JSON-Schema-Test-Suite, where `make schema-suite` has got it: see schema-suite.ts. */
import { describe, expect, test } from "bun:test"
import { Prng } from "../../src/base/prng.ts"
import type { Draft } from "../../src/grammar/schema/references.ts"
import { tinyCompiler } from "../tools/random-text.ts"
import { checkFile, isSuiteThere, suiteFiles, type FileResult } from "./schema-suite.ts"

const DRAWS = 3
const MIN_ACCEPTED = 0.85

/** Valid instances that are no text of the grammar, on purpose; docs/structured-output.md says why. */
const OTHER_ON_PURPOSE = [
  /is only an annotation by default/,
  /same object with different property order/,
  /unevaluatedProperties with \$ref: with no unevaluated properties/,
  /custom metaschema with with no validation vocabulary/,
]

if (!isSuiteThere) console.log("SKIPPED: the JSON-Schema-Test-Suite is not here; run `make schema-suite`")

describe.skipIf(!isSuiteThere)("every schema of the suite is refused by name or held to", () => {
  test.each(["2020-12", "7"] as const)("draft %s", async (draft: Draft) => {
    const compiler = await tinyCompiler()
    const prng = new Prng(3)
    const results = suiteFiles(draft).map((file) => checkFile(file, draft, compiler, () => prng.float(), DRAWS))
    const all = (lines: (result: FileResult) => readonly string[]) => results.flatMap(lines)
    expect(all(({ wrongTexts }) => wrongTexts)).toEqual([])
    expect(all(({ admittedInvalid }) => admittedInvalid)).toEqual([])
    const missed = all(({ missedInstances }) => missedInstances)
    expect(missed.filter((line) => !OTHER_ON_PURPOSE.some((pattern) => pattern.test(line)))).toEqual([])
    const sum = (count: (result: FileResult) => number) => results.reduce((total, result) => total + count(result), 0)
    const local = sum(({ schemas, remote }) => schemas - remote)
    expect(local).toBeGreaterThan(200)
    expect(sum(({ accepted }) => accepted) / local).toBeGreaterThan(MIN_ACCEPTED)
    expect(all(({ refusals }) => refusals).filter((line) => !/ at (the root|\/)/.test(line))).toEqual([])
  }, 300_000)
})
