/** How models write their tool calls: a row a parser, under the names of `--tool-call-parser`. */
import { JsonCallReader } from "./json-call.ts"
import { MistralCallReader } from "./mistral-calls.ts"
import { PythonicCallReader } from "./pythonic-calls.ts"
import { QwenCallReader } from "./qwen-calls.ts"
import type { ToolFormat } from "./tool-format.ts"
import { jsonCalls, pythonCalls, taggedCalls } from "./write-calls.ts"

const HERMES: ToolFormat = {
  openers: ["<tool_call>"], bareOpener: "", closers: ["</tool_call>"], separators: "", callIds: "openai",
  makeReader: ({ sink }) => new JsonCallReader(sink, { isCallWithoutArguments: true }),
  write: (calls) => jsonCalls(calls, "arguments").map((json) => `<tool_call>\n${json}\n</tool_call>`).join("\n"),
}

const LLAMA3_JSON: ToolFormat = {
  openers: ["<|python_tag|>"], bareOpener: "{", closers: [], separators: ";", callIds: "openai",
  makeReader: ({ sink }) => new JsonCallReader(sink, { isCallWithoutArguments: false }),
  write: (calls) => jsonCalls(calls, "parameters").join("; "),
}

const MISTRAL: ToolFormat = {
  openers: ["[TOOL_CALLS]"], bareOpener: "", closers: [], separators: "", callIds: "mistral",
  makeReader: ({ sink }) => new MistralCallReader(sink),
  write: (calls) => `[TOOL_CALLS] [${jsonCalls(calls, "arguments").join(", ")}]`,
}

const PYTHONIC: ToolFormat = {
  openers: [], bareOpener: "[", closers: [], separators: "", callIds: "openai",
  makeReader: ({ sink }) => new PythonicCallReader(sink),
  write: pythonCalls,
}

const QWEN3_CODER: ToolFormat = {
  openers: ["<tool_call>", "<function="], bareOpener: "", closers: ["</tool_call>", "</function>"], separators: "",
  callIds: "openai",
  makeReader: (context) => new QwenCallReader(context),
  write: (calls) => taggedCalls(calls).map((call) => `<tool_call>\n${call}\n</tool_call>`).join("\n"),
}

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
