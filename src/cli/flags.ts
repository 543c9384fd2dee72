import { Option, type Command } from "commander"
import type { ParseValue } from "./parse-values.ts"

/** A flag of a command: how it is spelled, what it means, its default and its check. Commands keep tables of them. */
export interface Flag<T> {
  /** As commander takes it: "--port <number>"; "<names...>" takes several values; no argument is a switch. */
  readonly usage: string
  readonly help: string
  readonly group: string
  readonly byDefault: T
  /** Null for a switch. */
  readonly parse: ParseValue<unknown> | null
  /** A switch with a --no- form. */
  readonly hasNegation: boolean
}

/** What a table of flags yields. A null is "not given". */
export type ValuesOf<Table> = { readonly [K in keyof Table]: Table[K] extends Flag<infer T> ? T : never }

export function value<T>(group: string, usage: string, byDefault: T, parse: ParseValue<T>, help: string): Flag<T> {
  return { usage, help, group, byDefault, parse, hasNegation: false }
}

export function optional<T>(group: string, usage: string, parse: ParseValue<T>, help: string): Flag<T | null> {
  return { usage, help, group, byDefault: null, parse, hasNegation: false }
}

/** `parse` checks each of several values, and may find more than one in it. */
export function several(
  group: string, usage: string, parse: ParseValue<string | readonly string[]>, help: string,
): Flag<readonly string[]> {
  return { usage, help, group, byDefault: [], parse, hasNegation: false }
}

export function toggle(group: string, usage: string, help: string): Flag<boolean> {
  return { usage, help, group, byDefault: false, parse: null, hasNegation: false }
}

export function toggleOn(group: string, usage: string, help: string): Flag<boolean> {
  return { usage, help, group, byDefault: true, parse: null, hasNegation: true }
}

/** A switch that depends on others where it is not given. */
export function toggleAuto(group: string, usage: string, help: string): Flag<boolean | null> {
  return { usage, help, group, byDefault: null, parse: null, hasNegation: true }
}

/** `key` is the flag's name in its table: commander's own for its long form. */
export function addFlag(command: Command, key: string, flag: Flag<unknown>): void {
  const option = new Option(flag.usage, flag.help).helpGroup(flag.group)
  const long = option.long!
  if (option.attributeName() !== key) throw new Error(`${long} does not spell ${key}`)
  const isPlain = typeof flag.byDefault === "string" ? flag.byDefault !== "" : typeof flag.byDefault === "number"
  // Commander prints a default that it is given; one that says nothing is described by the help text instead.
  if (isPlain) option.default(flag.byDefault, flag.byDefault === Infinity ? "inf" : undefined)
  else if (flag.byDefault === true) option.default(true, "on")
  command.addOption(option)
  if (flag.hasNegation) command.addOption(new Option(long.replace("--", "--no-"), "the opposite").helpGroup(flag.group))
}

// Commander hands over words as they are: it would take a parsed null for a missing value.
export function parseFlag(flag: Flag<unknown>, given: unknown): unknown {
  if (given === undefined || given === flag.byDefault) return flag.byDefault
  const { parse } = flag
  if (parse === null) return given
  const long = new Option(flag.usage).long!
  return Array.isArray(given) ? given.flatMap((word: string) => parse(word, long)) : parse(given as string, long)
}
