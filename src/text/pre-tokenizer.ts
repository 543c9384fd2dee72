/**
 * Pre-tokenizers: cut normalized text into the pieces that the model encodes one by one.
 *
 * The common kinds are ours, because the library's differ from the reference (its `Split` knows one behaviour, `Digits`
 * takes ASCII digits alone, `Metaspace` does not split) and make garbage on the way; its translation of Oniguruma
 * patterns to JavaScript is used as it is. The rare kinds are the library's.
 */
import {
  BertPreTokenizer,
  FixedLengthPreTokenizer,
  PunctuationPreTokenizer,
  SplitPreTokenizer,
} from "@huggingface/tokenizers"
import { ConfigError } from "../base/errors.ts"
import { describe, isObject, stepList, type StepConfig } from "./tokenizer-json.ts"

/** `isFirst`: the text starts where the whole input starts. */
export type PreTokenize = (text: string, isFirst: boolean) => string[]

/** GPT-2's pattern, which "ByteLevel" stands for when it splits. */
const GPT2_PATTERN = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"

/** `\w` of Rust's regular expressions, which "Whitespace" uses where the others use Oniguruma's. */
const WORD = "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\x{200C}\\x{200D}"

export interface PreTokenizer {
  readonly split: PreTokenize
  /** Whether the pieces are to be encoded as bytes in the byte-level alphabet. */
  readonly isByteLevel: boolean
}

/** Throws `ConfigError` on an unknown kind or a pattern that cannot be expressed. */
export function createPreTokenizer(config: StepConfig | null): PreTokenizer {
  const steps = stepList(config, "pretokenizers", "pre_tokenizer")
  const stages = steps.map(createStage)
  const byteLevelAt = steps.findIndex((step) => step.type === "ByteLevel")
  if (byteLevelAt >= 0 && byteLevelAt !== steps.length - 1) {
    throw new ConfigError("tokenizer: pre_tokenizer ByteLevel must be the last of its sequence")
  }
  return { split: chain(stages), isByteLevel: byteLevelAt >= 0 }
}

function chain(stages: readonly PreTokenize[]): PreTokenize {
  const [only] = stages
  if (only !== undefined && stages.length === 1) return only
  return (text, isFirst) => {
    let pieces = [text]
    for (const stage of stages) {
      const next: string[] = []
      for (let i = 0; i < pieces.length; i++) for (const part of stage(pieces[i]!, isFirst && i === 0)) next.push(part)
      pieces = next
    }
    return pieces
  }
}

function createStage(step: StepConfig): PreTokenize {
  switch (step.type) {
    case "ByteLevel": {
      const split = step["use_regex"] === false ? null : compileSplit(GPT2_PATTERN, "Isolated", false)
      const addPrefixSpace = step["add_prefix_space"] === true
      return (text, isFirst) => {
        const padded = addPrefixSpace && !text.startsWith(" ") ? " " + text : text
        return split === null ? [padded] : split(padded, isFirst)
      }
    }
    case "Split":
      return createSplit(step)
    case "Digits":
      return compileSplit(step["individual_digits"] === true ? "\\p{N}" : "\\p{N}+", "Isolated", false)
    case "Metaspace":
      return createMetaspace(step)
    case "Whitespace":
      return compileSplit(`[${WORD}]+|[^${WORD}\\s]+`, "Removed", true)
    case "WhitespaceSplit":
      return compileSplit("\\s+", "Removed", false)
    case "BertPreTokenizer":
      return library(new BertPreTokenizer())
    case "Punctuation":
      return library(new PunctuationPreTokenizer({ ...step, type: "Punctuation" }))
    case "FixedLength":
      return library(new FixedLengthPreTokenizer({ length: 0, ...step, type: "FixedLength" }))
    default:
      throw new ConfigError(`tokenizer: pre_tokenizer.type ${describe(step.type)} is not known`)
  }
}

function library(step: { pre_tokenize_text(text: string): string[] }): PreTokenize {
  return (text) => step.pre_tokenize_text(text)
}

function createSplit(step: StepConfig): PreTokenize {
  const pattern = isObject(step["pattern"]) ? step["pattern"] : {}
  const behavior = typeof step["behavior"] === "string" ? step["behavior"] : "Isolated"
  const invert = step["invert"] === true
  if (typeof pattern["Regex"] === "string") return compileSplit(pattern["Regex"], behavior, invert)
  if (typeof pattern["String"] === "string") {
    return splitter(new RegExp(pattern["String"].replace(/[$()*+.?[\\\]^{|}]/g, "\\$&"), "gu"), behavior, invert)
  }
  throw new ConfigError(`tokenizer: pre_tokenizer Split has no pattern, found ${describe(step["pattern"])}`)
}

function compileSplit(regex: string, behavior: string, invert: boolean): PreTokenize {
  let pattern: RegExp | null
  try {
    pattern = new SplitPreTokenizer({ type: "Split", pattern: { Regex: regex }, behavior: "Isolated", invert: false })
      .pattern
  } catch (error) {
    throw new ConfigError(`tokenizer: pattern ${JSON.stringify(regex)} cannot be used: ${(error as Error).message}`)
  }
  if (pattern === null) throw new ConfigError(`tokenizer: pattern ${JSON.stringify(regex)} cannot be used`)
  return splitter(pattern, behavior, invert)
}

/** A span of text, and whether it is a delimiter (what the pattern matches, or with `invert` what it does not). */
interface Span {
  readonly start: number
  end: number
  readonly isDelimiter: boolean
}

function splitter(pattern: RegExp, behavior: string, invert: boolean): PreTokenize {
  const join = JOINERS[behavior]
  if (join === undefined) throw new ConfigError(`tokenizer: Split behaviour ${describe(behavior)} is not known`)
  return (text) => {
    const matches = text.match(pattern)
    // Patterns of byte-level BPE match every character: then the matches are the pieces.
    if (!invert && behavior === "Isolated" && matches !== null && totalLength(matches) === text.length) return matches
    return join(spansOf(text, pattern, invert)).map(({ start, end }) => text.slice(start, end))
  }
}

function totalLength(pieces: readonly string[]): number {
  let length = 0
  for (const piece of pieces) {
    if (piece.length === 0) return -1
    length += piece.length
  }
  return length
}

function spansOf(text: string, pattern: RegExp, invert: boolean): Span[] {
  const spans: Span[] = []
  let at = 0
  for (const match of text.matchAll(pattern)) {
    const end = match.index + match[0].length
    if (at < match.index) spans.push({ start: at, end: match.index, isDelimiter: invert })
    if (match.index < end) spans.push({ start: match.index, end, isDelimiter: !invert })
    at = end
  }
  if (at < text.length) spans.push({ start: at, end: text.length, isDelimiter: invert })
  return spans
}

/** What becomes of delimiters, by the reference's names of behaviours. */
const JOINERS: Readonly<Record<string, (spans: Span[]) => Span[]>> = {
  Isolated: (spans) => spans,
  Removed: (spans) => spans.filter((span) => !span.isDelimiter),
  Contiguous: (spans) => joinSpans(spans, (last, span) => last.isDelimiter === span.isDelimiter),
  MergedWithPrevious: (spans) => joinSpans(spans, (last, span) => span.isDelimiter && !last.isDelimiter),
  MergedWithNext: (spans) =>
    joinSpans(spans.toReversed(), (last, span) => span.isDelimiter && !last.isDelimiter).toReversed(),
}

function joinSpans(spans: Span[], joins: (last: Span, span: Span) => boolean): Span[] {
  const joined: Span[] = []
  let last: Span | null = null
  for (const span of spans) {
    if (last !== null && joins(last, span)) {
      const whole: Span = {
        start: Math.min(last.start, span.start),
        end: Math.max(last.end, span.end),
        isDelimiter: span.isDelimiter,
      }
      joined[joined.length - 1] = whole
      last = whole
    } else {
      joined.push(span)
      last = span
    }
  }
  return joined
}

function createMetaspace(step: StepConfig): PreTokenize {
  const replacement = typeof step["replacement"] === "string" ? step["replacement"] : "▁"
  // Files from before `prepend_scheme` say `add_prefix_space`.
  const scheme = step["prepend_scheme"] ?? (step["add_prefix_space"] === false ? "never" : "always")
  const splits = step["split"] !== false
  const before = new RegExp(`(?=${replacement.replace(/[$()*+.?[\\\]^{|}]/g, "\\$&")})`, "u")
  return (text, isFirst) => {
    let replaced = text.replaceAll(" ", replacement)
    const prepends = scheme === "always" || (scheme === "first" && isFirst)
    if (prepends && !replaced.startsWith(replacement)) replaced = replacement + replaced
    return splits ? replaced.split(before) : [replaced]
  }
}
