import { describe, expect, test } from "bun:test"
import { chooseParsers } from "../../../src/text/answer/choose-parsers.ts"
import { detectReasoningFormat, detectToolFormat } from "../../../src/text/answer/detect-formats.ts"
import { ChatTemplate } from "../../../src/text/chat-template.ts"
import { ChatTemplates } from "../../../src/text/chat-templates.ts"
import { releasedTemplates } from "../../tools/released-templates.ts"
import { ToyTokenizer } from "../../toy-tokenizer.ts"

const INPUT = { specialTokens: { bos_token: "<s>", eos_token: "</s>" }, kwargs: {} }
const tools = (source: string) => detectToolFormat(ChatTemplate.parse(source), INPUT)
const reasoning = (source: string) => detectReasoningFormat(ChatTemplate.parse(source), INPUT)

/** A template that shows an assistant's first call as `call` writes it, and begins answers with `start`. */
function template(call: string, start = ""): string {
  return "{% for m in messages %}<|{{ m.role }}|>" +
    "{% if m.tool_calls %}{% set f = m.tool_calls[0].function %}" + call + "{% else %}{{ m.content }}{% endif %}" +
    "{% endfor %}{% if add_generation_prompt %}<|assistant|>" + start + "{% endif %}"
}
const JSON_CALL = (key: string) => `{"name": "{{ f.name }}", "${key}": {{ f.arguments | tojson }}}`
const ARGUMENTS = "{% for k, v in f.arguments.items() %}"

describe("the format of tool calls", () => {
  test.each([
    ["hermes", `\n<tool_call>\n${JSON_CALL("arguments")}\n</tool_call>`],
    ["llama3_json", JSON_CALL("parameters")],
    ["mistral", `[TOOL_CALLS][${JSON_CALL("arguments")}]`],
    ["mistral", "[TOOL_CALLS]{{ f.name }}[ARGS]{{ f.arguments | tojson }}"],
    ["pythonic", `[{{ f.name }}(${ARGUMENTS}{{ k }}={{ v | tojson }}{% endfor %})]`],
    ["qwen3_coder", `<tool_call>\n<function={{ f.name }}>\n${ARGUMENTS}<parameter={{ k }}>\n{{ v }}\n</parameter>\n` +
      "{% endfor %}</function>\n</tool_call>"],
    ["functiongemma", "<start_function_call>call:{{ f.name }}{{ '{' }}" +
      `${ARGUMENTS}{{ k }}:<escape>{{ v }}<escape>{% endfor %}{{ '}' }}<end_function_call>`],
    ["gemma4", `<|tool_call>call:{{ f.name }}{{ '{' }}${ARGUMENTS}{{ k }}:<|"|>{{ v }}<|"|>{% endfor %}` +
      "{{ '}' }}<tool_call|>"],
    ["deepseek_v3", "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>{{ f.name }}\n```json\n" +
      "{{ f.arguments | tojson }}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>"],
    ["deepseek_v31", "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>{{ f.name }}<｜tool▁sep｜>" +
      "{{ f.arguments | tojson }}<｜tool▁call▁end｜><｜tool▁calls▁end｜>"],
    ["kimi_k2", "<|tool_calls_section_begin|><|tool_call_begin|>{{ m.tool_calls[0].id }}" +
      "<|tool_call_argument_begin|>{{ f.arguments | tojson }}<|tool_call_end|><|tool_calls_section_end|>"],
    ["glm45", `<tool_call>{{ f.name }}\n${ARGUMENTS}<arg_key>{{ k }}</arg_key>\n<arg_value>{{ v }}</arg_value>\n` +
      "{% endfor %}</tool_call>"],
    ["minimax_m2", `<minimax:tool_call>\n<invoke name="{{ f.name }}">\n${ARGUMENTS}<parameter name="{{ k }}">` +
      "{{ v }}</parameter>\n{% endfor %}</invoke>\n</minimax:tool_call>"],
  ] as const)("%s is found in %s", (name, call) => {
    expect(tools(template(call))).toBe(name)
    const isBare = name === "llama3_json" || name === "pythonic"
    expect(tools(template(`<think></think>${call}`, "<think>"))).toBe(isBare ? null : name)
  })

  test("is none where no parser reads it, so that nothing is taken for a call", () => {
    expect(tools(template(`<calls>${JSON_CALL("parameters")}</calls>`))).toBeNull()
    expect(tools(template("{{ f.name }}!{{ f.arguments | tojson }}"))).toBeNull()
    expect(tools("{% if tools and messages[1].tool_calls %}{{ raise_exception('one call') }}{% endif %}")).toBeNull()
  })

  test("is the server's where the template has no place for calls", () => {
    expect(tools("{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}")).toBe("hermes")
  })
})

describe("the format of reasoning", () => {
  const on = "{% if enable_thinking is defined and not enable_thinking %}<think></think>{% endif %}"
  const off = "{% if enable_thinking is defined and enable_thinking %}<think>{% endif %}"
  test.each([
    ["qwen3", `{{ messages[0].content }}${on}`],
    ["deepseek_v3", `{{ messages[0].content }}${off}`],
    ["deepseek_v3", "{{ messages[0].content }}{% if not thinking is defined %}{% set thinking = false %}{% endif %}" +
      "{% if thinking %}<think>{% else %}</think>{% endif %}"],
    ["deepseek_r1", template("", "<think>\n")],
    ["mistral", "[THINK]{{ messages[0].content }}"],
    ["granite", "Here is my thought process: {{ messages[0].content }}"],
    [null, "{{ messages[0].content.split('</think>')[-1] }}{# <think> #}"],
    [null, "{{ messages[0].content }}"],
  ] as const)("%s: %s", (name, source) => expect(reasoning(source)).toBe(name))
})

describe("the parsers of a server", () => {
  const kwargs = { defaultChatTemplateKwargs: {} }
  const model = (source: string | null) => ({
    chatTemplates: ChatTemplates.of(source === null ? null : ChatTemplate.parse(source)), tokenizer: new ToyTokenizer(),
  })
  const think = template(`<tool_call>${JSON_CALL("arguments")}</tool_call>`, "<think>\n")

  test("are found, named, or none", () => {
    expect(chooseParsers({ ...kwargs, reasoningParser: "auto", toolCallParser: "auto" }, model(think)))
      .toEqual({ reasoningParser: "deepseek_r1", toolParser: "hermes" })
    expect(chooseParsers({ ...kwargs, reasoningParser: "qwen3", toolCallParser: "pythonic" }, model(think)))
      .toEqual({ reasoningParser: "qwen3", toolParser: "pythonic" })
    expect(chooseParsers({ ...kwargs, reasoningParser: "none", toolCallParser: "none" }, model(think)))
      .toEqual({ reasoningParser: null, toolParser: null })
    expect(chooseParsers({ ...kwargs, reasoningParser: "auto", toolCallParser: "auto" }, model(null)))
      .toEqual({ reasoningParser: null, toolParser: null })
  })
})

const released = releasedTemplates()
describe.skipIf(released === null)("templates of released models", () => {
  test.each([
    ["Qwen-Qwen2.5-7B-Instruct", "hermes", null],
    ["Qwen-Qwen3-0.6B", "hermes", "qwen3"],
    ["Qwen3-Coder", "qwen3_coder", null],
    ["Qwen-QwQ-32B", "hermes", "deepseek_v3"],
    ["deepseek-ai-DeepSeek-R1-Distill-Qwen-32B", "deepseek_v3", "deepseek_v3"],
    ["GLM-4.6", "glm45", "qwen3"],
    ["MiniMax-M2", "minimax_m2", "deepseek_r1"],
    ["google-gemma-4-31B-it", "gemma4", null],
    ["moonshotai-Kimi-K2", "kimi_k2", null],
    ["NousResearch-Hermes-2-Pro-Llama-3-8B-tool_use", "hermes", null],
    ["meta-llama-Llama-3.1-8B-Instruct", "llama3_json", null],
    ["meta-llama-Llama-3.3-70B-Instruct", "llama3_json", null],
    ["mistralai-Mistral-Nemo-Instruct-2407", "mistral", null],
    ["mistralai-Ministral-3-14B-Reasoning-2512", "mistral", "mistral"],
    ["HuggingFaceTB-SmolLM3-3B", "hermes", "qwen3"],
    ["deepseek-ai-DeepSeek-R1-Distill-Llama-8B", null, "deepseek_r1"],
    ["ibm-granite-granite-4.0", "hermes", null],
    ["google-gemma-2-2b-it", "hermes", null],
    ["microsoft-Phi-3.5-mini-instruct", "hermes", null],
  ] as const)("%s", (name, toolFormat, reasoningFormat) => {
    const parsed = ChatTemplate.parse(released!.get(`${name}.jinja`)!)
    const found = [detectToolFormat(parsed, INPUT), detectReasoningFormat(parsed, INPUT)]
    expect(found).toEqual([toolFormat, reasoningFormat])
  })
})
