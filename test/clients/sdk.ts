/**
 * Libraries: each has a program in `sdk/` that asks the same through every API of the library, and prints an object of
 * what it got. What was asked is in a result's name: "tools", where the answer follows two calls of a tool; "refused",
 * the status of a request that is refused; "models", the names on the list; "object", a value read out of the text or
 * of a call's arguments.
 */
import { copyFileSync } from "node:fs"
import { join, resolve } from "node:path"
import { MODEL, type Client, type Session } from "./client.ts"
import { thinking, toolCall, type Line } from "./script.ts"

const HELLO = "Hello, naïve café: 你好, 🌍!"
const WEATHER = "It is 4 °C with light rain in Oslo, and 21 °C in Rome. 🌦"

const PLACE = { city: "Oslo", degrees: 4 }
const QUESTION = "How is the weather in Oslo and in Rome?"
const SCRIPT: readonly Line[] = [
  {
    when: [QUESTION, "The weather of a city", "4 degrees and light rain", "21 degrees and sun"],
    say: `${thinking("Both tools have answered.")}${WEATHER}`,
  },
  {
    when: [QUESTION, "The weather of a city"],
    say: `${thinking("Two cities, two calls.")}I will look.\n${toolCall("get_weather", { city: "Oslo", days: 2 })}\n` +
      toolCall("get_weather", { city: "Rome", days: 2 }),
  },
  {
    // A grammar holds the answer behind the reasoning: nothing but the call.
    when: ["Name the city and its temperature.", "degrees", "\"name\": \"Place\""],
    say: `${thinking("A call.").trimEnd()}${toolCall("Place", PLACE)}`,
  },
  {
    when: ["Name the city and its temperature.", "degrees"],
    say: `${thinking("An object.")}\`\`\`json\n${JSON.stringify(PLACE)}\n\`\`\``,
  },
  { when: ["Say hello."], say: `${thinking("A greeting is wanted.")}${HELLO}` },
]

/** Errors: name the results that are not as wanted. */
export function judge(results: Readonly<Record<string, unknown>>): void {
  const wrong = Object.entries(results).flatMap(([asked, got]) => {
    const wanted = wantedOf(asked)
    const isSame = JSON.stringify(typeof got === "string" ? got.trim() : got) === JSON.stringify(wanted)
    return isSame ? [] : [`${asked}: ${JSON.stringify(got)} instead of ${JSON.stringify(wanted)}`]
  })
  if (Object.keys(results).length === 0) wrong.push("no results")
  if (wrong.length > 0) throw new Error(wrong.join("; "))
}

function wantedOf(asked: string): unknown {
  if (asked === "models") return [MODEL]
  if (asked === "refused") return 400
  if (asked.includes("object")) return PLACE
  if (asked === "completion") return `${thinking("A greeting is wanted.")}${HELLO}`
  return asked.includes("tools") ? WEATHER : HELLO
}

/** A library whose program is `sdk/<program>`. */
function library(name: string, registry: Client["registry"], program: string, packages: readonly string[]): Client {
  return {
    name, registry, packages, script: () => SCRIPT, refusals: [400],
    async run(session) {
      const output = await session.run(command(session, registry, program), { SERVER: session.url, MODEL })
      const last = output.stdout.trimEnd().split("\n").at(-1) ?? ""
      if (output.code !== 0 || !last.startsWith("{"))
        throw new Error(`ended with ${output.code}: ${output.stderr.trimEnd().split("\n").slice(-3).join(" ")}`)
      const results = JSON.parse(last) as Record<string, unknown>
      judge(results)
      return Object.keys(results).join(", ")
    },
  }
}

function command(session: Session, registry: Client["registry"], program: string): string[] {
  const path = resolve(import.meta.dir, "sdk", program)
  // Isolated: else the directory of the program, with files named as packages, is where Python looks first.
  if (registry === "pip") return [join(session.prefix, "bin/python"), "-I", path]
  // Packages are looked up from where the importing file lies.
  const copy = join(session.prefix, program)
  copyFileSync(path, copy)
  return [session.node, copy]
}

export const LIBRARIES: readonly Client[] = [
  library("openai-npm", "npm", "openai-npm.mjs", ["openai@7.57.0"]),
  library("openai-python", "pip", "openai-python.py", ["openai==3.57.0"]),
  library("anthropic-npm", "npm", "anthropic-npm.mjs", ["@anthropic-ai/sdk@1.14.0"]),
  library("ai-sdk-6", "npm", "ai-sdk.mjs", [
    "ai@6.0.326", "@ai-sdk/openai@3.0.141", "@ai-sdk/openai-compatible@2.0.92", "@ai-sdk/anthropic@3.0.140",
  ]),
  library("ai-sdk-7", "npm", "ai-sdk.mjs", [
    "ai@7.0.173", "@ai-sdk/openai@4.0.118", "@ai-sdk/openai-compatible@3.0.92", "@ai-sdk/anthropic@4.0.105",
  ]),
  library("langchain-openai", "pip", "langchain-openai.py", ["langchain-openai==1.7.4"]),
  library("litellm", "pip", "litellm.py", ["litellm==1.110.2"]),
  library("llm", "pip", "llm.py", ["llm==0.36"]),
  library("instructor", "pip", "instructor.py", ["instructor==1.17.0"]),
  library("pydantic-ai", "pip", "pydantic-ai.py", ["pydantic-ai-slim[openai]==2.68.0"]),
]
