// Errors, on the page and in the Worker.

/**
 * What vivavoce refuses. `name` tells the kind: ReadError, AudioError, SamplesError, ModelError, ConfigError, ListError (with `line`),
 * UsageError; MicrophoneError; InternalError for a mistake of the library, after which a recogniser cannot be used any more.
 */
export class VivavoceError extends Error {
  constructor(kind, message, line) {
    super(message);
    this.name = kind;
    if (line != null) this.line = line;
  }
}

/** What may be sent from a Worker. */
export function flattened(error) {
  return { kind: error.name, message: error.message, line: error.line };
}

export function unflattened({ kind, message, line }) {
  return kind === "AbortError" ? new DOMException(message, kind) : new VivavoceError(kind, message, line);
}
