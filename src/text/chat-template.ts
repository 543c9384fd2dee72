/**
 * Chat templates: Jinja that turns messages into the prompt text a model was trained on. Same variables and functions
 * as transformers' `apply_chat_template`.
 */
import { Environment, Template } from "@huggingface/jinja"
import { ConfigError, RequestError } from "../base/errors.ts"
import { detectContentFormat, type ContentFormat } from "./content-format.ts"
import { strftime } from "./strftime.ts"
import { LimitedInterpreter, printedExpressions, TemplateError, type NodeFields } from "./template-interpreter.ts"
import { setTemplateVariable } from "./template-numbers.ts"
import { toolArguments } from "./tool-arguments.ts"

/** An OpenAI chat message, its content already in the template's format. */
export type ChatMessage = Readonly<Record<string, unknown>>

export interface ChatTemplateInput {
  messages: readonly ChatMessage[]
  tools?: readonly unknown[] | null
  documents?: readonly unknown[] | null
  addGenerationPrompt?: boolean
  /** `bos_token`, `eos_token` ...: a tokenizer's `specialTokens`. */
  specialTokens?: Readonly<Record<string, string>>
  /** Further variables (`enable_thinking`, `reasoning_effort`); the ones above win. */
  kwargs?: Readonly<Record<string, unknown>>
  /** For `strftime_now`. */
  now?: Date
}

/** The longest known template has 30,000 characters. */
const MAX_SOURCE = 1024 * 1024
/** Jinja's own limit on `range` in its sandbox. */
const MAX_RANGE = 100_000

export class ChatTemplate {
  /** How the template takes message content; see `detectContentFormat`. */
  readonly contentFormat: ContentFormat
  readonly source: string
  readonly #template: Template
  readonly #printed: ReadonlySet<unknown>

  private constructor(source: string, template: Template) {
    const program = template.parsed as unknown as NodeFields
    this.source = source
    this.#template = template
    this.#printed = printedExpressions(program)
    this.contentFormat = detectContentFormat(program)
  }

  /** Throws `ConfigError` when `source` is not a template. */
  static parse(source: string): ChatTemplate {
    if (source.length > MAX_SOURCE)
      throw new ConfigError(`chat template has ${source.length} characters; the limit is ${MAX_SOURCE}`)
    try {
      return new ChatTemplate(source, new Template(source))
    } catch (error) {
      throw new ConfigError(`chat template cannot be parsed: ${(error as Error).message}`)
    }
  }

  /**
   * The prompt text. Throws `RequestError` (400) with the template's own words when it calls `raise_exception`, and
   * when it fails or goes past its limits.
   */
  render(input: ChatTemplateInput): string {
    const environment = createEnvironment(input)
    try {
      const interpreter = new LimitedInterpreter(environment, this.#printed)
      return String((interpreter.run(this.#template.parsed) as { value: unknown }).value)
    } catch (error) {
      // Deep recursion ends as a RangeError of the JavaScript engine, which is the template's doing too.
      const message = (error as Error).message
      throw new RequestError(error instanceof TemplateError ? message : `chat template: ${message}`)
    }
  }
}

function createEnvironment(input: ChatTemplateInput): Environment {
  const now = input.now ?? new Date()
  const variables: Record<string, unknown> = {
    ...input.specialTokens,
    ...input.kwargs,
    messages: parseToolArguments(input.messages),
    tools: input.tools ?? null,
    documents: input.documents ?? null,
    add_generation_prompt: input.addGenerationPrompt ?? false,
    true: true,
    false: false,
    none: null,
    True: true,
    False: false,
    None: null,
    range: limitedRange,
    raise_exception: (message: unknown) => {
      throw new TemplateError(String(message))
    },
    strftime_now: (format: unknown) => strftime(now, String(format)),
  }
  delete variables["namespace"] // the interpreter's own
  const environment = new Environment()
  for (const [name, value] of Object.entries(variables)) setTemplateVariable(environment, name, value)
  return environment
}

function limitedRange(...args: unknown[]): number[] {
  const [start, stop, step] = args.length === 1 ? [0, args[0], 1] : [args[0], args[1], args[2] ?? 1]
  if (typeof start !== "number" || typeof stop !== "number" || typeof step !== "number" || step === 0) {
    throw new TemplateError("range() takes whole numbers, and a step that is not 0")
  }
  const length = Math.max(0, Math.ceil((stop - start) / step))
  if (!(length <= MAX_RANGE)) throw new TemplateError(`range() of ${length} numbers; the limit is ${MAX_RANGE}`)
  return Array.from({ length }, (_, i) => start + i * step)
}

/** Templates expect the arguments of earlier tool calls as objects; OpenAI clients send them as JSON text. */
function parseToolArguments(messages: readonly ChatMessage[]): ChatMessage[] {
  return messages.map((message) => {
    const calls = message["tool_calls"]
    return Array.isArray(calls) ? { ...message, tool_calls: calls.map(parseCall) } : message
  })
}

function parseCall(call: unknown): unknown {
  const fields = call as { function?: { arguments?: unknown } } | null
  if (typeof fields !== "object" || fields === null || typeof fields.function !== "object") return call
  return { ...fields, function: { ...fields.function, arguments: toolArguments(fields.function?.arguments).value } }
}
