/**
 * What stands for content that a text model cannot take, in the results of tools alone. A client sends a result again
 * with every later turn, so that a refusal would end the conversation for good; what a user shows is refused, as the
 * answer would be about something else.
 *
 * A user's message directly behind a result belongs to it: no answer has come yet that the user could speak to. Clients
 * put pictures there where they think that a result must be text.
 */

const MAX_TYPE_LENGTH = 40

/** `type`: of a content part in any of the APIs, such as "image", "image_url" or "input_image". */
export function omittedContent(type: string): string {
  const kind = type.slice(0, MAX_TYPE_LENGTH).replace(/^input_/, "").replace(/_url$/, "")
  return `[${kind} omitted: this model takes text only]`
}
