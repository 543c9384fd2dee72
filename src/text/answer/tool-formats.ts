/** How models write their tool calls: a row a parser, under the names of `--tool-call-parser`. */
import { jsonCallShape } from "./forced-calls.ts"
import { GemmaCallReader } from "./gemma-calls.ts"
import { JsonCallReader } from "./json-call.ts"
import { MarkedCallReader } from "./marked-calls.ts"
import { MistralCallReader } from "./mistral-calls.ts"
import { PythonicCallReader } from "./pythonic-calls.ts"
import { GLM_TAGS, MINIMAX_TAGS, QWEN_TAGS, taggedCallReaders } from "./tagged-calls.ts"
import type { ToolFormat } from "./tool-format.ts"
import { gemmaCalls, jsonCalls, markedCalls, pythonCalls, taggedCalls } from "./write-calls.ts"

const HERMES: ToolFormat = {
  openers: ["<tool_call>"], bareOpener: "", closers: ["</tool_call>"], separators: "", callIds: "openai",
  makeReader: ({ sink }) => new JsonCallReader(sink, { isCallWithoutArguments: true }),
  shape: jsonCallShape("arguments", {
    before: "<tool_call>\n", after: "\n</tool_call>", separator: "\n", trigger: "<tool_call>",
  }),
  write: (calls) => jsonCalls(calls, "arguments").map((json) => `<tool_call>\n${json}\n</tool_call>`).join("\n"),
}

const LLAMA3_JSON: ToolFormat = {
  openers: ["<|python_tag|>"], bareOpener: "{", closers: [], separators: ";", callIds: "openai",
  makeReader: ({ sink }) => new JsonCallReader(sink, { isCallWithoutArguments: false }),
  // The form that models of this family are trained on; another spelling of an object is free text.
  shape: jsonCallShape("parameters", { separator: "; ", trigger: "{\"name\": " }),
  write: (calls) => jsonCalls(calls, "parameters").join("; "),
}

const MISTRAL: ToolFormat = {
  openers: ["[TOOL_CALLS]"], innerMarkers: ["[ARGS]"], bareOpener: "", closers: [], separators: "", callIds: "mistral",
  makeReader: ({ sink }) => new MistralCallReader(sink),
  shape: jsonCallShape("arguments", { open: "[TOOL_CALLS] [", close: "]", trigger: "[TOOL_CALLS]" }),
  write: (calls) => `[TOOL_CALLS] [${jsonCalls(calls, "arguments").join(", ")}]`,
}

const PYTHONIC: ToolFormat = {
  openers: [], bareOpener: "[", closers: [], separators: "", callIds: "openai",
  makeReader: ({ sink }) => new PythonicCallReader(sink),
  shape: null,
  write: pythonCalls,
}

const QWEN3_CODER: ToolFormat = {
  openers: ["<tool_call>", "<function="], bareOpener: "", closers: ["</tool_call>", "</function>"], separators: "",
  callIds: "openai",
  makeReader: taggedCallReaders(QWEN_TAGS),
  shape: null,
  write: (calls) => taggedCalls(calls, {
    begin: (name) => `<tool_call>\n<function=${name}>\n`,
    argument: (key, value) => `<parameter=${key}>\n${value}\n</parameter>\n`,
    end: "</function>\n</tool_call>",
  }).join("\n"),
}

const GLM: ToolFormat = {
  openers: ["<tool_call>"], bareOpener: "", closers: ["</tool_call>"], separators: "", callIds: "openai",
  innerMarkers: ["<arg_key>", "</arg_key>", "<arg_value>", "</arg_value>"],
  makeReader: taggedCallReaders(GLM_TAGS),
  shape: null,
  write: (calls) => taggedCalls(calls, {
    begin: (name) => `<tool_call>${name}\n`,
    argument: (key, value) => `<arg_key>${key}</arg_key>\n<arg_value>${value}</arg_value>\n`,
    end: "</tool_call>",
  }).join("\n"),
}

const MINIMAX_M2: ToolFormat = {
  openers: ["<minimax:tool_call>", "<invoke name=\""], bareOpener: "",
  closers: ["</minimax:tool_call>", "</invoke>"], separators: "", callIds: "openai",
  makeReader: taggedCallReaders(MINIMAX_TAGS),
  shape: null,
  write: (calls) => `<minimax:tool_call>\n${taggedCalls(calls, {
    begin: (name) => `<invoke name="${name}">\n`,
    argument: (key, value) => `<parameter name="${key}">${value}</parameter>\n`,
    end: "</invoke>",
  }).join("\n")}\n</minimax:tool_call>`,
}

/** Between DeepSeek's marks, which differ by version. */
function deepseekCalls(prefix: string, separator: string, fence: string, between: string): ToolFormat {
  const [open, close] = ["<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>"]
  const [begin, end] = ["<｜tool▁call▁begin｜>", "<｜tool▁call▁end｜>"]
  const before = (name: string) => `${begin}${prefix}${name}${separator}`
  const behind = fence === "" ? end : `\n${fence}${end}`
  return {
    openers: [open, begin], innerMarkers: ["<｜tool▁sep｜>"], bareOpener: "", closers: [close, end], separators: "", callIds: "openai",
    makeReader: (context) => new MarkedCallReader({ begin, prefix, separator, fence }, context),
    shape: { begin: before, end: behind, separator: between, open, close, trigger: open },
    write: (calls) => `${open}${markedCalls(calls, before, behind).join(between)}${close}`,
  }
}

/** For calls that the model has to make where its own form has no grammar here, or is not known: a list of JSON. */
export const GENERIC_CALLS = {
  openers: [], bareOpener: "[", closers: [], separators: "", callIds: "openai",
  makeReader: ({ sink }) => new MistralCallReader(sink),
  shape: jsonCallShape("parameters", { open: "[", close: "]" }),
  write: (calls) => `[${jsonCalls(calls, "parameters").join(", ")}]`,
} satisfies ToolFormat

const KIMI_MARKS = {
  begin: "<|tool_call_begin|>", prefix: "", separator: "<|tool_call_argument_begin|>", fence: "",
  nameOf: (head: string) => head.replace(/^functions\./, "").replace(/:\d+$/, ""),
}

/** Numbered from 0: "functions.NAME:0" is the call's id too. */
const KIMI_K2: ToolFormat = {
  openers: ["<|tool_calls_section_begin|>", KIMI_MARKS.begin], innerMarkers: [KIMI_MARKS.separator], bareOpener: "",
  closers: ["<|tool_calls_section_end|>", "<|tool_call_end|>"], separators: "", callIds: "openai",
  makeReader: (context) => new MarkedCallReader(KIMI_MARKS, context),
  shape: {
    begin: (name) => `${KIMI_MARKS.begin}functions.${name}:`, behindIndex: KIMI_MARKS.separator,
    end: "<|tool_call_end|>", separator: "", open: "<|tool_calls_section_begin|>",
    close: "<|tool_calls_section_end|>", trigger: "<|tool_calls_section_begin|>",
  },
  write: (calls) => `<|tool_calls_section_begin|>${markedCalls(
    calls, (name, index) => `${KIMI_MARKS.begin}functions.${name}:${index}${KIMI_MARKS.separator}`, "<|tool_call_end|>",
  ).join("")}<|tool_calls_section_end|>`,
}

function gemmaFormat(open: string, close: string, quote: string): ToolFormat {
  return {
    openers: [open], innerMarkers: [quote], bareOpener: "", closers: [close], separators: "", callIds: "openai",
    makeReader: ({ sink }) => new GemmaCallReader(quote, sink),
    shape: null,
    write: (calls) => gemmaCalls(calls, quote).map((call) => `${open}${call}${close}`).join(""),
  }
}

const FORMATS = {
  deepseek_v3: deepseekCalls("function<｜tool▁sep｜>", "\n```json\n", "```", "\n"),
  deepseek_v31: deepseekCalls("", "<｜tool▁sep｜>", "", ""),
  functiongemma: gemmaFormat("<start_function_call>", "<end_function_call>", "<escape>"),
  gemma4: gemmaFormat("<|tool_call>", "<tool_call|>", "<|\"|>"),
  glm45: GLM,
  glm47: GLM,
  hermes: HERMES,
  kimi_k2: KIMI_K2,
  llama3_json: LLAMA3_JSON,
  llama4_json: LLAMA3_JSON,
  minimax_m2: MINIMAX_M2,
  mistral: MISTRAL,
  pythonic: PYTHONIC,
  qwen3_coder: QWEN3_CODER,
  qwen3_json: HERMES,
  qwen3_xml: QWEN3_CODER,
} satisfies Record<string, ToolFormat>

export type ToolParserName = keyof typeof FORMATS
export const TOOL_FORMATS: Readonly<Record<ToolParserName, ToolFormat>> = FORMATS
export const TOOL_PARSERS = Object.keys(FORMATS) as ToolParserName[]
