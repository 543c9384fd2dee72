import { describe, expect, test } from "bun:test"
import { parseExactly } from "../../../src/base/json-number.ts"
import { TOOL_FORMATS, TOOL_PARSERS } from "../../../src/text/answer/tool-formats.ts"
import type { ToolParserName } from "../../../src/text/answer/tool-formats.ts"
import { cuts, formatFor, parseInPieces, parserFor } from "../../tools/answers.ts"
import type { JoinedAnswer } from "../../tools/answers.ts"

type Row = readonly [text: string, expected: JoinedAnswer]

const schemas = new Map([["get_weather", { properties: {
  city: { type: "string" }, days: { type: "integer" }, ratio: { type: "number" }, metric: { type: "boolean" },
  where: { type: "object" }, tags: { type: "array", items: {} },
  maybe: { anyOf: [{ type: "integer" }, { type: "null" }] },
  unit: { enum: ["c", "f", 1] }, id: { type: ["string", "integer"] },
} }]])

const DALLAS = "{\"city\": \"Dallas\", \"state\": \"TX\"}"
const call = (name: string, json = DALLAS) => `{"name": "${name}", "arguments": ${json}}`
const dallas: [string, string] = ["get_weather", DALLAS]
/** A text without calls is content as it is. */
const plain = (text: string): Row => [text, { content: text }]

const HERMES: Row[] = [
  [`<tool_call>\n${call("get_weather")}\n</tool_call>`, { calls: [dallas] }],
  [`Well:\n<tool_call>${call("f", "{}")}</tool_call>`, { content: "Well:", calls: [["f", "{}"]] }],
  [`<tool_call>${call("f")}</tool_call>\n<tool_call>\n${call("g")}\n</tool_call>\n`, {
    calls: [["f", DALLAS], ["g", DALLAS]],
  }],
  [`\n\n<tool_call>${call("f", "[1]")}`, { calls: [["f", "[1]"]] }],
  [`<tool_call>{"arguments": {"a": "}\\"]"}, "name": "f"}</tool_call>`, { calls: [["f", "{\"a\": \"}\\\"]\"}"]] }],
  ["<tool_call>{\"name\": \"f\"}</tool_call>", { calls: [["f", "{}"]] }],
  [`<tool_call>{"id": [1, {"name": "no"}], "name": "f", "arguments": -1.5e3}</tool_call>`, {
    calls: [["f", "-1.5e3"]],
  }],
  ["<tool_call>{\"name\": \"f\", \"arguments\": {\"code\": \"</tool_call>\"}}</tool_call>", {
    calls: [["f", "{\"code\": \"</tool_call>\"}"]],
  }],
  // Cut short, and brackets forgotten.
  ["<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": \"b", { calls: [["f", "{\"a\": \"b"]] }],
  ["<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": 1}</tool_call>x", {
    content: "x", calls: [["f", "{\"a\": 1}"]],
  }],
  ["<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": 1</tool_call><tool_call>{\"name\": \"g\"}", {
    calls: [["f", "{\"a\": 1"], ["g", "{}"]],
  }],
  // Text between and behind calls is not lost, but for white space.
  [`a <tool_call>${call("f", "{}")}</tool_call> b </tool_call> c\n`, { content: "a b  c\n", calls: [["f", "{}"]] }],
  plain("no call"),
  plain("  \n"),
  plain("<tool_call></tool_call>"),
  plain("<tool_call>{\"name\": \"\", \"arguments\": {}}</tool_call>"),
  plain("<tool_call>{\"name\": 5, \"arguments\": {}}</tool_call>"),
  plain("<tool_call>{\"name\": \"f\", \"arguments\"</tool_call>"),
  plain("<tool_call>{'name': 'f'}</tool_call> and <tool_call>"),
  plain("<tool_call>{\"a\": \"<tool_call>{\\\"name\\\""),
  [`<tool_call>oh <tool_call>${call("f", "{}")}`, { content: "<tool_call>oh", calls: [["f", "{}"]] }],
]

const LLAMA: Row[] = [
  [`{"name": "get_weather", "parameters": ${DALLAS}}`, { calls: [dallas] }],
  [` <|python_tag|>${call("get_weather")}`, { calls: [dallas] }],
  [`${call("f", "{}")}; ${call("g", "{}")}`, { calls: [["f", "{}"], ["g", "{}"]] }],
  [`Sure. <|python_tag|>${call("f", "{}")}`, { content: "Sure.", calls: [["f", "{}"]] }],
  [`${call("f", "{\"a\": {\"b\": [1, {}]}}")} done`, { content: " done", calls: [["f", "{\"a\": {\"b\": [1, {}]}}"]] }],
  [`${call("f", "{}")}; ok`, { content: "; ok", calls: [["f", "{}"]] }],
  plain("{\"name\": \"Bob\", \"age\": 3}"),
  plain("{ not JSON"),
  plain("<|python_tag|>brave_search.call(query=\"x\")"),
  plain(`Here: ${call("f")}`),
]

const MISTRAL: Row[] = [
  ["[TOOL_CALLS]add{\"a\": 3.5, \"b\": 4}", { calls: [["add", "{\"a\": 3.5, \"b\": 4}"]] }],
  ["Hi[TOOL_CALLS]add[ARGS]{\"a\": 1}[TOOL_CALLS]get_weather[ARGS]{\"c\": \"{\"}", {
    content: "Hi", calls: [["add", "{\"a\": 1}"], ["get_weather", "{\"c\": \"{\"}"]],
  }],
  [`[TOOL_CALLS] [${call("f", "{}")}, {"arguments": {"a": []}, "name": "g"}]`, {
    calls: [["f", "{}"], ["g", "{\"a\": []}"]],
  }],
  [`[TOOL_CALLS] ${call("f", "{}")} tail`, { content: " tail", calls: [["f", "{}"]] }],
  ["[TOOL_CALLS]f{\"a\": 1} tail", { content: " tail", calls: [["f", "{\"a\": 1}"]] }],
  ["[TOOL_CALLS]f{\"a\": [\"", { calls: [["f", "{\"a\": [\""]] }],
  plain("[TOOL_CALLS]"),
  plain("[TOOL_CALLS] are calls: x"),
  plain("[TOOL_CALLS][]"),
  plain("[TOOL_CALLS]f[ARG]{}"),
]

const parameter = (key: string, value: string) => `<parameter=${key}>\n${value}\n</parameter>\n`
const qwen = (name: string, ...parameters: string[]) => `<function=${name}>\n${parameters.join("")}</function>`
const weather = (key: string, value: string, json: string): Row => [
  qwen("get_weather", parameter(key, value)), { calls: [["get_weather", `{"${key}": ${json}}`]] },
]

const QWEN: Row[] = [
  [`<tool_call>\n${qwen("get_weather", parameter("city", "Dallas"), parameter("days", "5"))}\n</tool_call>`, {
    calls: [["get_weather", "{\"city\": \"Dallas\", \"days\": 5}"]],
  }],
  [`I look.\n\n<tool_call>\n${qwen("f")}\n</tool_call>\n<tool_call>\n${qwen("g", parameter("x", "1"))}\n</tool_call>`, {
    content: "I look.", calls: [["f", "{}"], ["g", "{\"x\": \"1\"}"]],
  }],
  weather("city", "a\n\"b\" <c> é😀\n", "\"a\\n\\\"b\\\" <c> é😀\\n\""),
  weather("days", "-007", "-7"),
  weather("days", "five", "\"five\""),
  weather("ratio", "2.50", "2.5"),
  weather("ratio", "1e999", "\"1e999\""),
  weather("metric", "True", "true"),
  weather("where", "{\"x\": [1]}", "{\"x\": [1]}"),
  weather("where", "[1]", "[1]"),
  weather("tags", "[\"a\", 2]", "[\"a\", 2]"),
  weather("maybe", "null", "null"),
  weather("maybe", "12", "12"),
  weather("unit", "c", "\"c\""),
  weather("unit", "1", "1"),
  weather("id", "x9", "\"x9\""),
  weather("other", "5", "\"5\""),
  // End tags forgotten, and the outer ones.
  ["<function=f><parameter=a>1<parameter=b>2</function>", { calls: [["f", "{\"a\": \"1\", \"b\": \"2\"}"]] }],
  ["<tool_call><function=f><parameter=a>1</parameter></tool_call> x", {
    content: " x", calls: [["f", "{\"a\": \"1\"}"]],
  }],
  ["<tool_call><function=f><parameter=a>1</parameter>", { calls: [["f", "{\"a\": \"1\"}"]] }],
  ["<tool_call><function=f><parameter=a>1\n</param", { calls: [["f", "{\"a\": \"1\\n</param"]] }],
  plain("<tool_call>{\"name\": \"f\"}</tool_call>"),
  plain("<function=f and </function>"),
  plain("<function=>"),
  plain("a <tool_call> \n<functio"),
]

const PYTHONIC: Row[] = [
  ["[get_weather(city='San Francisco', metric='celsius')]", {
    calls: [["get_weather", "{\"city\": \"San Francisco\", \"metric\": \"celsius\"}"]],
  }],
  ["[get_weather(), a.b(x={}, y=[])]", { calls: [["get_weather", "{}"], ["a.b", "{\"x\": {}, \"y\": []}"]] }],
  ["[r(name='Doe, (', age=37, address={'city': 'SF', 1: (1, 2)}, role=None, ok=True, aliases=['J', \"K\"])]", {
    calls: [["r",
      "{\"name\": \"Doe, (\", \"age\": 37, \"address\": {\"city\": \"SF\", \"1\": [1, 2]}, \"role\": null, " +
        "\"ok\": true, \"aliases\": [\"J\", \"K\"]}"]],
  }],
  ["[g(city='Martha\\'s', unit='\\\"cool\\\"')]", {
    calls: [["g", "{\"city\": \"Martha's\", \"unit\": \"\\\"cool\\\"\"}"]],
  }],
  ["[f(a=-1.5, b=1_000, c='', d=\"\"\"x\"y\"\"\", e=r'\\d', f='\\x41' 'b', g=(3,), h=(4), i={1, 2})] ok", {
    content: " ok",
    calls: [["f", "{\"a\": -1.5, \"b\": 1000, \"c\": \"\", \"d\": \"x\\\"y\", \"e\": \"\\\\d\", \"f\": \"Ab\", " +
      "\"g\": [3], \"h\": 4, \"i\": [1, 2]}"]],
  }],
  ["[f(a=1), ]", { calls: [["f", "{\"a\": 1}"]] }],
  ["[f(a=1, b='cut", { calls: [["f", "{\"a\": 1"]] }],
  plain("[f](http://x.y)"),
  plain("[f(2)]"),
  plain("[f(a=b+c)]"),
  plain("[f(a=1"),
  plain("[]"),
  plain("see [f(a=1)]"),
]

const [SECTION, SECTION_END, CALL, CALL_END, SEP] = [
  "<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>", "<｜tool▁call▁begin｜>", "<｜tool▁call▁end｜>", "<｜tool▁sep｜>",
]
const v3 = (name: string, json: string) => `${CALL}function${SEP}${name}\n\`\`\`json\n${json}\n\`\`\`${CALL_END}`
const v31 = (name: string, json: string) => `${CALL}${name}${SEP}${json}${CALL_END}`

const DEEPSEEK_V3: Row[] = [
  [`${SECTION}${v3("get_weather", DALLAS)}${SECTION_END}`, { calls: [dallas] }],
  [`Well:\n\n${SECTION}${v3("f", "{}")}\n${v3("g", "{\"a\": \"```\"}")}${SECTION_END} ok`, {
    content: "Well: ok", calls: [["f", "{}"], ["g", "{\"a\": \"```\"}"]],
  }],
  [v3("f", `{"a": "${CALL_END}"}`), { calls: [["f", `{"a": "${CALL_END}"}`]] }],
  [`${CALL}function${SEP}f\n\`\`\`json\n{"a": [`, { calls: [["f", "{\"a\": ["]] }],
  [`${CALL}function${SEP}f\n\`\`\`json\n{"a": 1}\n\`\``, { calls: [["f", "{\"a\": 1}"]] }],
  plain(`${SECTION}none${SECTION_END}`),
  plain(`${SECTION}${v31("f", "{}")}`),
  plain(`${CALL}function${SEP}f\n\`\`\`json\n[1]`),
  plain(`${CALL}function${SEP}\n\`\`\`json\n{}`),
  plain(`a ${CALL}func`),
]

const DEEPSEEK_V31: Row[] = [
  [`${SECTION}${v31("get_weather", DALLAS)}${SECTION_END}`, { calls: [dallas] }],
  [`Well: ${SECTION}${v31("f", "{}")}${v31("g", "{\"a\": {}}")}${SECTION_END}`, {
    content: "Well:", calls: [["f", "{}"], ["g", "{\"a\": {}}"]],
  }],
  [`${CALL}f${SEP}{"a": "b`, { calls: [["f", "{\"a\": \"b"]] }],
  [`${CALL}f${SEP}{"a": 1}}${CALL_END}`, { content: "}", calls: [["f", "{\"a\": 1}"]] }],
  plain(`${SECTION}${v3("f", "{}")}`),
  plain(`${CALL}f${SEP}`),
  plain(`${CALL}${"x".repeat(300)}${SEP}{}`),
]

const kimi = (head: string, json: string) =>
  `<|tool_call_begin|>${head}<|tool_call_argument_begin|>${json}<|tool_call_end|>`
const KIMI: Row[] = [
  [`<|tool_calls_section_begin|>${kimi("functions.get_weather:0", DALLAS)}<|tool_calls_section_end|>`, {
    calls: [dallas],
  }],
  [`So\n<|tool_calls_section_begin|>\n${kimi("functions.a.b:0", "{}")}${kimi(" functions.g:12 ", " {\"a\": 1}")}` +
    "<|tool_calls_section_end|>ok", { content: "Sook", calls: [["a.b", "{}"], ["g", "{\"a\": 1}"]] }],
  [kimi("f", "{}"), { calls: [["f", "{}"]] }],
  ["<|tool_call_begin|>functions.f:0<|tool_call_argument_begin|>{\"a", { calls: [["f", "{\"a"]] }],
  plain("<|tool_calls_section_begin|><|tool_calls_section_end|>"),
  plain("<|tool_call_begin|>functions.:0<|tool_call_argument_begin|>{}"),
  plain("<|tool_call_begin|>functions.f:0<|tool_call_argument_begin|>"),
]

const glm = (name: string, ...given: [string, string][]) =>
  `<tool_call>${name}\n${given.map(([key, value]) => `<arg_key>${key}</arg_key>\n<arg_value>${value}</arg_value>\n`)
    .join("")}</tool_call>`
const GLM: Row[] = [
  [glm("get_weather", ["city", "Dallas"], ["days", "5"]), {
    calls: [["get_weather", "{\"city\": \"Dallas\", \"days\": 5}"]],
  }],
  [`I look.\n${glm("f")}\n${glm("get_weather", ["city", "\na\n"], ["where", "{\"x\": [1]}"])} ok`, {
    content: "I look. ok", calls: [["f", "{}"], ["get_weather", "{\"city\": \"\\na\\n\", \"where\": {\"x\": [1]}}"]],
  }],
  ["<tool_call>f<arg_key>a</arg_key><arg_value></tool_call></arg_value></tool_call>", {
    calls: [["f", "{\"a\": \"</tool_call>\"}"]],
  }],
  ["<tool_call>f</tool_call>", { calls: [["f", "{}"]] }],
  ["<tool_call>f<arg_key>a</arg_key><arg_value>x</arg_val", { calls: [["f", "{\"a\": \"x</arg_val"]] }],
  plain(`<tool_call>\n${call("f")}\n</tool_call>`),
  plain("<tool_call>is how\nit begins</tool_call>"),
  plain("<tool_call></tool_call>"),
  plain("<tool_call>f"),
]

const minimax = (name: string, ...given: [string, string][]) =>
  `<invoke name="${name}">\n${given.map(([key, value]) => `<parameter name="${key}">${value}</parameter>\n`).join("")}` +
  "</invoke>"
const MINIMAX: Row[] = [
  [`<minimax:tool_call>\n${minimax("get_weather", ["city", "Dallas"], ["metric", "true"])}\n</minimax:tool_call>`, {
    calls: [["get_weather", "{\"city\": \"Dallas\", \"metric\": true}"]],
  }],
  [`Hm.\n<minimax:tool_call>${minimax("f")}\n${minimax("g", ["a", "\n<b>\n"])}</minimax:tool_call>\nok`, {
    content: "Hm.\nok", calls: [["f", "{}"], ["g", "{\"a\": \"\\n<b>\\n\"}"]],
  }],
  ["<invoke name=\"f\"><parameter name=\"a\">x", { calls: [["f", "{\"a\": \"x"]] }],
  plain("<minimax:tool_call>none</minimax:tool_call>"),
  plain("<invoke name=\"\">"),
  plain("<invoke name=\"f"),
]

const gemma = (text: string) => `<start_function_call>call:${text}<end_function_call>`
const GEMMA: Row[] = [
  [gemma("get_weather{city:<escape>Dallas<escape>,state:<escape>TX<escape>}"), { calls: [dallas] }],
  [`Hm. ${gemma("f{}")}${gemma("g{a:[1, <escape>}]\",\n😀<escape>,[],{}],b:{c:null,d:-1.5e3},e:true}")}\nok`, {
    content: "Hm.\nok",
    calls: [["f", "{}"],
      ["g", "{\"a\": [1, \"}]\\\",\\n😀\", [], {}], \"b\": {\"c\": null, \"d\": -1.5e3}, \"e\": true}"]],
  }],
  [gemma("f{a:<escape><esc<<escape>, <escape>b<escape> : Paris ,}"), {
    calls: [["f", "{\"a\": \"<esc<\", \"b\": \"Paris\"}"]],
  }],
  ["<start_function_call>call:f{a:<escape>b<esc", { calls: [["f", "{\"a\": \"b<esc"]] }],
  ["<start_function_call>call:f{a:12", { calls: [["f", "{\"a\": 12"]] }],
  [gemma("f{a:[1}"), { content: "}", calls: [["f", "{\"a\": [1"]] }],
  plain("<start_function_call>f{}<end_function_call>"),
  plain(gemma("{}")),
  plain(gemma("no name {}")),
  plain("<start_function_call>call:f"),
]
const GEMMA4: Row[] = [
  ["<|tool_call>call:f{a:<|\"|>x|\"|<|\"|>,b:[<|\"|><|\"|>]}<tool_call|>", {
    calls: [["f", "{\"a\": \"x|\\\"|\", \"b\": [\"\"]}"]],
  }],
]

const TABLES: Record<string, [ToolParserName, Row[]]> = {
  hermes: ["hermes", HERMES], llama3_json: ["llama3_json", LLAMA], mistral: ["mistral", MISTRAL],
  qwen3_coder: ["qwen3_coder", QWEN], pythonic: ["pythonic", PYTHONIC], deepseek_v3: ["deepseek_v3", DEEPSEEK_V3],
  deepseek_v31: ["deepseek_v31", DEEPSEEK_V31], kimi_k2: ["kimi_k2", KIMI], glm45: ["glm45", GLM],
  minimax_m2: ["minimax_m2", MINIMAX], functiongemma: ["functiongemma", GEMMA], gemma4: ["gemma4", GEMMA4],
}

describe.each(Object.values(TABLES))("%s, however the text is cut", (tools, rows) => {
  test.each(rows)("%j", (text, expected) => {
    for (const pieces of cuts(text)) expect(parseInPieces({ tools, schemas }, pieces)).toEqual(expected)
  })
})

describe("reasoning and calls", () => {
  const text = `hm <tool_call>${call("f", "{}")}</tool_call>`
  test("a call ends the reasoning where the format has it so", () => {
    const setup = { reasoning: "qwen3", tools: "hermes" } as const
    for (const pieces of cuts(text))
      expect(parseInPieces(setup, pieces)).toEqual({ reasoning: "hm ", calls: [["f", "{}"]] })
    for (const pieces of cuts("hm <tool_call> or</think>so"))
      expect(parseInPieces(setup, pieces)).toEqual({ reasoning: "hm <tool_call> or", content: "so" })
  })

  test("else it is a thought", () => {
    const setup = { reasoning: "deepseek_r1", tools: "hermes" } as const
    for (const pieces of cuts(`${text}</think>\n${text}`))
      expect(parseInPieces(setup, pieces)).toEqual({ reasoning: text, content: "\nhm", calls: [["f", "{}"]] })
  })

  test("white space between a text and a call is no part of the text, however it comes", () => {
    const setup = { tools: "hermes" } as const
    const made = `<tool_call>${call("f", "{}")}</tool_call>`
    for (const pieces of cuts(`One.\n\n Two.\n \n${made}\n${made}\n\nThree.\n${made}\n`))
      expect(parseInPieces(setup, pieces)).toEqual({
        content: "One.\n\n Two.\n\nThree.", calls: [["f", "{}"], ["f", "{}"], ["f", "{}"]],
      })
    // It is where no call follows.
    for (const text of ["One. \n", "One. \n<tool_call>no", `One.\n <tool_call>{"name": 1}\n`, " \n"])
      for (const pieces of cuts(text)) expect(parseInPieces(setup, pieces)).toEqual({ content: text })
    for (const pieces of cuts(`${made} One. \n`))
      expect(parseInPieces(setup, pieces)).toEqual({ content: " One. \n", calls: [["f", "{}"]] })
  })

  test("white space between them is dropped", () => {
    const setup = { reasoning: "qwen3", tools: "hermes" } as const
    for (const pieces of cuts(`hm</think>\n\n<tool_call>${call("f", "{}")}`))
      expect(parseInPieces(setup, pieces)).toEqual({ reasoning: "hm", calls: [["f", "{}"]] })
    const again = { reasoning: "mistral", tools: "mistral" } as const
    for (const pieces of cuts("x[THINK]hm[/THINK]\n[TOOL_CALLS]f{}"))
      expect(parseInPieces(again, pieces)).toEqual({ reasoning: "hm", content: "x", calls: [["f", "{}"]] })
  })
})

test("long texts, read bit by bit, give the same at once", () => {
  const text = `x${"😀".repeat(300)}<tool_call>${call("f", JSON.stringify({ a: "é😀".repeat(500) }))}</tool_call>`
  for (const padding of ["", "a"]) {
    const whole = `${padding}${`${text}<tool_call>no`.repeat(5)}`
    const setup = { reasoning: "qwen3", beginsWithReasoning: false, tools: "hermes" } as const
    const atOnce = parseInPieces(setup, [whole])
    expect(atOnce.calls).toHaveLength(5)
    expect(JSON.stringify(atOnce).isWellFormed()).toBe(true)
    expect(parseInPieces(setup, [...whole])).toEqual(atOnce)
  }
})

test("reads what it writes", () => {
  const calls = [
    {
      name: "get_weather",
      arguments: { city: "Rome\n'\"<é>", days: 5, metric: true, tags: ["a", null, 1.5], where: { x: {} } },
    },
    { name: "f", arguments: {} },
    { name: "get_weather", arguments: { days: parseExactly("2512292042121000001") } },
  ]
  for (const tools of TOOL_PARSERS) {
    const text = TOOL_FORMATS[tools].write(calls)
    const read = parseInPieces({ tools, schemas }, [text])
    expect([tools, read.content]).toEqual([tools, undefined])
    expect(read.calls!.map(([name]) => name)).toEqual(calls.map(({ name }) => name))
    const texts = read.calls!.map(([, json]) => JSON.stringify(parseExactly(json)))
    expect(texts).toEqual(calls.map((each) => JSON.stringify(each.arguments)))
  }
})

test("marks within a call are among the markers, whose special tokens the text keeps", () => {
  const markers = (tools: ToolParserName) => formatFor({ tools }).markers
  expect(markers("mistral")).toContain("[ARGS]")
  expect(markers("deepseek_v31")).toContain(SEP)
  expect(markers("kimi_k2")).toContain("<|tool_call_argument_begin|>")
  expect(markers("gemma4")).toContain("<|\"|>")
})

test("tells the first call whose arguments do not parse", () => {
  const broken = (tools: ToolParserName, text: string) => {
    const parser = parserFor({ tools, schemas })
    parser.push(text)
    parser.end()
    return parser.firstBrokenCall
  }
  const hermes = (...all: string[]) => all.map((json) => `<tool_call>${call("f", json)}</tool_call>`).join("\n")
  expect(broken("hermes", hermes("{}", "{\"a\": [1, null]}", "3"))).toBeNull()
  expect(broken("hermes", hermes("{\"a\": }"))).toBe(0)
  expect(broken("hermes", hermes("{\"a\": 1}", "{\"a\" 1}", "{}", "[1,]"))).toBe(1)
  expect(broken("hermes", hermes("{\"a\": \"line\nbreak\"}"))).toBe(0)
  expect(broken("hermes", `${hermes("{}")}<tool_call>{"name": "f", "arguments": {"a`)).toBe(1)
  expect(broken("mistral", `[TOOL_CALLS][${call("f", "{}")}, ${call("g", "{a}")}]`)).toBe(1)
  expect(broken("mistral", "[TOOL_CALLS]f{\"a\": 01}[TOOL_CALLS]g{}")).toBe(0)
  expect(broken("pythonic", "[f(a=1), g(b=2)]")).toBeNull()
  expect(broken("pythonic", "[f(a=1), g(b=2, c=@)]")).toBe(1)
  expect(broken("qwen3_coder", qwen("get_weather", parameter("where", "{")))).toBeNull()
})

describe("what is held back", () => {
  test("is what may still become a marker, and nothing else", () => {
    const parser = parserFor({ reasoning: "qwen3", tools: "hermes" })
    expect(parser.push("a < b </")).toEqual([{ type: "reasoning", text: "a < b " }])
    expect(parser.push("thin")).toEqual([])
    expect(parser.push("gs")).toEqual([{ type: "reasoning", text: "</things" }])
    expect(parser.push("</think>x<tool")).toEqual([{ type: "content", text: "x" }])
    expect(parser.end()).toEqual([{ type: "content", text: "<tool" }])
  })

  test("of a call is its text until its name and arguments begin; arguments come as they are written", () => {
    const parser = parserFor({ tools: "hermes" })
    expect(parser.push("<tool_call>{\"name\": \"f\", \"arguments\": ")).toEqual([])
    expect(parser.push("{\"a")).toEqual([
      { type: "call", index: 0, name: "f" }, { type: "arguments", index: 0, text: "{\"a" },
    ])
    expect(parser.push("\": 1}")).toEqual([{ type: "arguments", index: 0, text: "\": 1}" }])
    expect(parser.push("}</tool_call>")).toEqual([])
    expect([parser.end(), parser.isCutOff, parser.numCalls]).toEqual([[], false, 1])
  })

  test("long strings of tagged parameters come while they are written", () => {
    const parser = parserFor({ tools: "qwen3_coder", schemas })
    expect(parser.push("<function=get_weather><parameter=city>\nDal").at(-1))
      .toEqual({ type: "arguments", index: 0, text: "{\"city\": \"Dal" })
    expect(parser.push("las\n")).toEqual([{ type: "arguments", index: 0, text: "las" }])
    expect(parser.push("</parameter>")).toEqual([{ type: "arguments", index: 0, text: "\"" }])
  })

  test("a call that ends in its arguments is cut off", () => {
    const cutOff = (tools: ToolParserName, text: string) => {
      const parser = parserFor({ tools })
      parser.push(text)
      parser.end()
      return parser.isCutOff
    }
    expect(cutOff("hermes", "<tool_call>{\"name\": \"f\", \"arguments\": {\"a\"")).toBe(true)
    expect(cutOff("hermes", "<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": 1}")).toBe(false)
    expect(cutOff("mistral", "[TOOL_CALLS]f[ARGS]{")).toBe(true)
    expect(cutOff("mistral", "[TOOL_CALLS][{\"name\": \"f\", \"arguments\": {")).toBe(true)
    expect(cutOff("mistral", "[TOOL_CALLS][{\"name\": \"f\", \"arguments\": {}}")).toBe(false)
    expect(cutOff("qwen3_coder", "<function=f><parameter=a>x")).toBe(true)
    expect(cutOff("qwen3_coder", "<function=f><parameter=a>x</parameter>")).toBe(false)
    expect(cutOff("deepseek_v31", `${CALL}f${SEP}{"a"`)).toBe(true)
    expect(cutOff("deepseek_v31", `${CALL}f${SEP}{"a": 1}`)).toBe(false)
    expect(cutOff("deepseek_v3", `${CALL}function${SEP}f\n\`\`\`json\n{}\n`)).toBe(false)
    expect(cutOff("glm45", "<tool_call>f<arg_key>a</arg_key><arg_value>x")).toBe(true)
    expect(cutOff("minimax_m2", "<invoke name=\"f\"><parameter name=\"a\">x</parameter>")).toBe(false)
    expect(cutOff("gemma4", "<|tool_call>call:f{a:{b:1}")).toBe(true)
    expect(cutOff("gemma4", "<|tool_call>call:f{a:{b:1}}")).toBe(false)
    expect(cutOff("pythonic", "[f(a=1, b=")).toBe(true)
    expect(cutOff("pythonic", "[f(a=1)")).toBe(false)
  })
})
