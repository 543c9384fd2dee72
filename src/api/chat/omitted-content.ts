/**
 * The text in place of content that a text model cannot take, in the results of tools alone. A client sends a result
 * again with every later turn, so that a refusal would end the conversation for good. Such content in a user's message
 * is refused, as the answer would ignore it.
 *
 * A user message directly after a result counts as part of it, as the model has not answered in between: clients put
 * pictures there where the API's results hold text alone.
 */

const MAX_TYPE_LENGTH = 40

/** `type`: of a content part in any of the APIs, such as "image", "image_url" or "input_image". */
export function omittedContent(type: string): string {
  const kind = type.slice(0, MAX_TYPE_LENGTH).replace(/^input_/, "").replace(/_url$/, "")
  return `[${kind} omitted: this model takes text only]`
}
