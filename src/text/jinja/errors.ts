/** Errors of templates. Their messages are for the client. */

/** The template asked for an error with `raise_exception`: the message stands by itself. */
export class TemplateError extends Error {
  override readonly name: string = "TemplateError"
}

/** The template went past a limit. */
export class TemplateLimit extends TemplateError {
  override readonly name = "TemplateLimit"
}

/** The source is not a template. */
export class TemplateSyntaxError extends Error {
  override readonly name = "TemplateSyntaxError"

  constructor(message: string, line: number) {
    super(`${message} (line ${line})`)
  }
}

/** Errors that Python or Jinja raise where a template uses a value in a way it cannot be used. */
export type FaultKind =
  | "AttributeError" | "IndexError" | "KeyError" | "LookupError" | "OverflowError" | "SecurityError" | "TypeError"
  | "UndefinedError" | "ValueError" | "ZeroDivisionError" | "TemplateRuntimeError" | "FilterArgumentError"

export class TemplateFault extends Error {
  override readonly name = "TemplateFault"
  readonly kind: FaultKind

  constructor(kind: FaultKind, message: string) {
    super(message)
    this.kind = kind
  }
}

export function typeError(message: string): TemplateFault {
  return new TemplateFault("TypeError", message)
}

export function valueError(message: string): TemplateFault {
  return new TemplateFault("ValueError", message)
}
