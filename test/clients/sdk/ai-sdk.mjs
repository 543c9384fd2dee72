// The Vercel AI SDK, versions 6 and 7, with each provider that can be pointed to a server; it runs the tool itself.
import { generateText, jsonSchema, stepCountIs, streamText, tool } from "ai"
import { createAnthropic } from "@ai-sdk/anthropic"
import { createOpenAI } from "@ai-sdk/openai"
import { createOpenAICompatible } from "@ai-sdk/openai-compatible"

const baseURL = `${process.env.SERVER}/v1`
const name = process.env.MODEL
const openai = createOpenAI({ baseURL, apiKey: "none" })
const models = {
  compatible: createOpenAICompatible({ name: "baozi", baseURL, includeUsage: true })(name),
  chat: openai.chat(name),
  responses: openai.responses(name),
  messages: createAnthropic({ baseURL, apiKey: "none" })(name),
}
const hello = "Say hello."
const question = "How is the weather in Oslo and in Rome?"
const weather = { Oslo: "4 degrees and light rain", Rome: "21 degrees and sun" }
const tools = {
  get_weather: tool({
    description: "The weather of a city",
    inputSchema: jsonSchema({
      type: "object", properties: { city: { type: "string" }, days: { type: "integer" } }, required: ["city"],
    }),
    execute({ city, days }) {
      if (days !== 2) throw new Error(`days is ${days}`)
      return weather[city]
    },
  }),
}

async function whole(settings) {
  return (await generateText({ ...settings, maxRetries: 0 })).text
}

async function streamed(settings) {
  let failure = null
  const result = streamText({ ...settings, maxRetries: 0, onError: ({ error }) => (failure = error) })
  for await (const _ of result.fullStream);
  if (failure !== null) throw failure
  return await result.text
}

const results = {}
for (const [api, model] of Object.entries(models)) {
  const withTools = { model, prompt: question, tools, stopWhen: stepCountIs(3) }
  results[api] = await whole({ model, prompt: hello })
  results[`${api} stream`] = await streamed({ model, prompt: hello })
  results[`${api} tools`] = await whole(withTools)
  results[`${api} tools stream`] = await streamed(withTools)
}
results.refused = await whole({ model: models.chat, prompt: hello, temperature: 9 }).catch((error) => error.statusCode)
console.log(JSON.stringify(results))
