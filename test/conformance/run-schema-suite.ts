/** `make schema-suite`: see schema-suite.ts. DRAWS= texts of each schema, SEED=, VERBOSE=1 for every refusal. */
import { Prng } from "../../src/base/prng.ts"
import type { Draft } from "../../src/grammar/schema/references.ts"
import { tinyCompiler } from "../tools/random-text.ts"
import { checkFile, suiteFiles, type FileResult } from "./schema-suite.ts"

const DRAWS = Number(process.env["DRAWS"] ?? 10)
const SEED = Number(process.env["SEED"] ?? 1)

async function run(draft: Draft): Promise<FileResult[]> {
  const compiler = await tinyCompiler()
  const prng = new Prng(SEED)
  return suiteFiles(draft).map((file) => checkFile(file, draft, compiler, () => prng.float(), DRAWS))
}

function print(draft: Draft, results: readonly FileResult[]): number {
  const sum = (count: (result: FileResult) => number) => results.reduce((total, result) => total + count(result), 0)
  console.log(`\n| draft ${draft}: keyword | schemas | accepted | texts, all valid | instances as they should be |`)
  console.log("|---|---|---|---|---|")
  for (const { file, schemas, accepted, texts, instances, wrongTexts, missedInstances, admittedInvalid } of results) {
    const right = instances - missedInstances.length - admittedInvalid.length
    const shown = wrongTexts.length === 0 ? String(texts) : `${texts}, ${wrongTexts.length} wrong`
    console.log(`| ${file.replace(".json", "")} | ${schemas} | ${accepted} | ${shown} | ${right} of ${instances} |`)
  }
  const local = sum(({ schemas, remote }) => schemas - remote)
  const accepted = sum((result) => result.accepted)
  console.log(`\n${accepted} of ${local} schemas without remote references: ${(100 * accepted / local).toFixed(1)} %`)
  console.log(`${sum((r) => r.texts)} texts, ${sum((r) => r.wrongTexts.length)} wrong; ` +
    `${sum((r) => r.missedInstances.length)} valid instances missed, ` +
    `${sum((r) => r.admittedInvalid.length)} invalid admitted`)
  for (const { file, wrongTexts, missedInstances, admittedInvalid, refusals } of results) {
    for (const line of wrongTexts) console.log(`WRONG ${file} ${line}`)
    for (const line of admittedInvalid) console.log(`ADMITTED ${file} ${line}`)
    for (const line of missedInstances) console.log(`MISSED ${file} ${line}`)
    if (process.env["VERBOSE"] === "1") for (const line of refusals) console.log(`REFUSED ${file} ${line}`)
  }
  return sum((r) => r.wrongTexts.length + r.admittedInvalid.length)
}

const wrong = print("2020-12", await run("2020-12")) + print("7", await run("7"))
process.exit(wrong === 0 ? 0 : 1)
