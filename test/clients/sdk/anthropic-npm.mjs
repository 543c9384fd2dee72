// @anthropic-ai/sdk: messages, whole and streamed; its tool runner runs the tool.
import Anthropic from "@anthropic-ai/sdk"

const client = new Anthropic({ baseURL: process.env.SERVER, apiKey: "none", maxRetries: 0 })
const common = { model: process.env.MODEL, max_tokens: 500 }
const hello = { ...common, messages: [{ role: "user", content: "Say hello." }] }
const weather = { Oslo: "4 degrees and light rain", Rome: "21 degrees and sun" }
const tool = {
  name: "get_weather",
  description: "The weather of a city",
  input_schema: {
    type: "object", properties: { city: { type: "string" }, days: { type: "integer" } }, required: ["city"],
  },
  parse: (input) => input,
  run({ city, days }) {
    if (days !== 2) throw new Error(`days is ${days}`)
    return weather[city]
  },
}

const textOf = ({ content }) => content.flatMap((block) => (block.type === "text" ? [block.text] : [])).join("")

async function withTools(stream) {
  const messages = [{ role: "user", content: "How is the weather in Oslo and in Rome?" }]
  return textOf(await client.beta.messages.toolRunner({ ...common, messages, tools: [tool], stream }).runUntilDone())
}

console.log(JSON.stringify({
  models: (await client.models.list()).data.map(({ id }) => id),
  messages: textOf(await client.messages.create(hello)),
  "messages stream": await client.messages.stream(hello).finalText(),
  "messages tools": await withTools(false),
  "messages tools stream": await withTools(true),
  refused: await client.messages.create({ ...hello, temperature: 9 }).catch((error) => error.status),
}))
