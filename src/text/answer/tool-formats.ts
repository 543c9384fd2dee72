/** How models write their tool calls: a row a parser, under the names of `--tool-call-parser`. */
import { jsonCallShape } from "./forced-calls.ts"
import { JsonCallReader } from "./json-call.ts"
import { MistralCallReader } from "./mistral-calls.ts"
import { PythonicCallReader } from "./pythonic-calls.ts"
import { QwenCallReader } from "./qwen-calls.ts"
import type { ToolFormat } from "./tool-format.ts"
import { jsonCalls, pythonCalls, taggedCalls } from "./write-calls.ts"

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
  openers: ["[TOOL_CALLS]"], bareOpener: "", closers: [], separators: "", callIds: "mistral",
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
  makeReader: (context) => new QwenCallReader(context),
  shape: null,
  write: (calls) => taggedCalls(calls).map((call) => `<tool_call>\n${call}\n</tool_call>`).join("\n"),
}

/** For calls that the model has to make where its own form has no grammar here, or is not known: a list of JSON. */
export const GENERIC_CALLS = {
  openers: [], bareOpener: "[", closers: [], separators: "", callIds: "openai",
  makeReader: ({ sink }) => new MistralCallReader(sink),
  shape: jsonCallShape("parameters", { open: "[", close: "]" }),
  write: (calls) => `[${jsonCalls(calls, "parameters").join(", ")}]`,
} satisfies ToolFormat

const FORMATS = {
  hermes: HERMES,
  llama3_json: LLAMA3_JSON,
  llama4_json: LLAMA3_JSON,
  mistral: MISTRAL,
  pythonic: PYTHONIC,
  qwen3_coder: QWEN3_CODER,
  qwen3_json: HERMES,
  qwen3_xml: QWEN3_CODER,
} satisfies Record<string, ToolFormat>

export type ToolParserName = keyof typeof FORMATS
export const TOOL_FORMATS: Readonly<Record<ToolParserName, ToolFormat>> = FORMATS
export const TOOL_PARSERS = Object.keys(FORMATS) as ToolParserName[]
