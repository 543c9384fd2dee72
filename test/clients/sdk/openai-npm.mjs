// The openai package: chats and responses, whole and streamed; its own loop runs the tool of a chat.
import OpenAI from "openai"

const client = new OpenAI({ baseURL: `${process.env.SERVER}/v1`, apiKey: "none", maxRetries: 0 })
const model = process.env.MODEL
const messages = [{ role: "user", content: "Say hello." }]
const question = { role: "user", content: "How is the weather in Oslo and in Rome?" }
const parameters = {
  type: "object", properties: { city: { type: "string" }, days: { type: "integer" } }, required: ["city"],
}
const description = "The weather of a city"
const weather = { Oslo: "4 degrees and light rain", Rome: "21 degrees and sun" }

function getWeather({ city, days }) {
  if (days !== 2) throw new Error(`days is ${days}`)
  return weather[city]
}

const textOf = (completion) => completion.choices[0].message.content

function chatWithTools(stream) {
  const func = { name: "get_weather", description, parameters, function: getWeather, parse: JSON.parse }
  const tools = [{ type: "function", function: func }]
  return client.chat.completions.runTools({ model, messages: [question], tools, stream }).finalContent()
}

async function streamedResponse(body) {
  const stream = client.responses.stream({ model, ...body })
  for await (const _ of stream);
  return stream.finalResponse()
}

async function responseWithTools(ask) {
  const tools = [{ type: "function", name: "get_weather", description, parameters, strict: false }]
  const input = [question]
  for (;;) {
    const answer = await ask({ input, tools })
    input.push(...answer.output)
    const calls = answer.output.filter(({ type }) => type === "function_call")
    if (calls.length === 0) return answer.output_text
    for (const { call_id, arguments: json } of calls)
      input.push({ type: "function_call_output", call_id, output: getWeather(JSON.parse(json)) })
  }
}

const whole = (body) => client.responses.create({ model, ...body })
console.log(JSON.stringify({
  models: (await client.models.list()).data.map(({ id }) => id),
  chat: textOf(await client.chat.completions.create({ model, messages })),
  "chat stream": await client.chat.completions.stream({ model, messages }).finalContent(),
  "chat tools": await chatWithTools(false),
  "chat tools stream": await chatWithTools(true),
  responses: (await whole({ input: messages })).output_text,
  "responses stream": (await streamedResponse({ input: messages })).output_text,
  "responses tools": await responseWithTools(whole),
  "responses tools stream": await responseWithTools(streamedResponse),
  refused: await whole({ input: messages, temperature: 9 }).catch((error) => error.status),
}))
