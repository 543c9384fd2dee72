/** docs/walk.md names files and functions: all of them exist. */
import { expect, test } from "bun:test"
import { existsSync, readFileSync } from "node:fs"
import { join, resolve } from "node:path"

const ROOT = resolve(import.meta.dir, "../..")
const text = readFileSync(join(ROOT, "docs/walk.md"), "utf8").replaceAll(/\n\s+/g, " ")
const quoted = [...text.matchAll(/`([^`]+)`/g)].map((match) => match[1]!)
const places = quoted.flatMap((each) => {
  const parts = /^([\w./-]+\.(?:ts|h|cc|mk|md)): (\w+)$/.exec(each)
  return parts === null ? [] : [[parts[1]!, parts[2]!] as const]
})
const paths = quoted.filter((each) => /^(?:src|ffi|native)\/[\w./-]*$/.test(each))
const members = [...text.matchAll(/`(?:[^`]*: )?(\w+)`'s `(\w+)`/g)].map((match) => [match[1]!, match[2]!] as const)

test("there are some", () => {
  expect(Math.min(places.length / 30, paths.length / 3, members.length / 5)).toBeGreaterThan(1)
})

test.each(places)("%s has %s", (path, name) => {
  const source = readFileSync(join(ROOT, path), "utf8")
  expect(source).toMatch(new RegExp(`\\b(?:export (?:async )?(?:function|class|interface|const)) ${name}\\b`))
})

test.each(paths)("%s is there", (path) => expect(existsSync(join(ROOT, path))).toBe(true))

test.each(members)("%s has a member %s", (owner, member) => {
  const place = places.find(([, name]) => name === owner)
  expect(place).toBeDefined()
  const source = readFileSync(join(ROOT, place![0]), "utf8")
  expect(source).toMatch(new RegExp(`^  (?:(?:async|const) )?${member}\\b`, "m"))
})
