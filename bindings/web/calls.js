// What the Worker does for the page, without the Worker: calls by name, answers that can be sent.

import { VivavoceError } from "./errors.js";

/** Milliseconds of work after which others have their turn. */
const TURN_MS = 30;

/** Lets messages in. A message of its own is not held back as timers of hidden pages are. */
function turn() {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
}

const word = ({ word, start, end, conf }) => ({ word, start, end, confidence: conf });

/** A segment or an event, with the words that every binding has for it. */
function event(found) {
  switch (found.event) {
    case "partial":
      return { event: "partial", text: found.partial, confirmed: found.confirmed, tentative: found.tentative, time: found.time };
    case "final": {
      const { text, result, written = [], tags = [], alternatives = [], segment, start, time } = found;
      return { event: "final", text, words: result.map(word), written: written.map(word), tags, alternatives, segment, start, time };
    }
    case "error":
      throw new VivavoceError("Error", found.message);
    default:
      return found;
  }
}

const events = (told) => JSON.parse(told).map(event);

/** Options as the module reads them. */
export function encoded(options = {}) {
  const found = { ...options };
  for (const name of ["hotwords", "grammar"]) {
    const list = found[name];
    if (list == null) continue;
    if (typeof list === "string") found[name] = { name: `(${name})`, text: list };
    else if (Array.isArray(list)) found[name] = { name: `(${name})`, text: list.join("\n") };
    else if (!("text" in list)) {
      found[name] = { name: `(${name})`, text: Object.entries(list).map(([phrase, boost]) => `${phrase} : ${boost}`).join("\n") };
    }
  }
  return JSON.stringify(found);
}

/** `module`: the glue, whose module runs. `fetchModel`: gets a model's files. */
export class Calls {
  constructor(module, fetchModel) {
    this.module = module;
    this.fetchModel = fetchModel;
    this.recognizer = undefined;
    this.sessions = new Map();
    this.stopped = new Set();
    this.broken = undefined;
  }

  /** Does `work`; its errors are those of the page. */
  guarded(work) {
    if (this.broken) throw this.broken;
    try {
      return work();
    } catch (error) {
      throw this.explained(error);
    }
  }

  explained(error) {
    if (error instanceof VivavoceError) return error;
    if (typeof error === "string") {
      const { kind, message, line } = JSON.parse(error);
      return new VivavoceError(kind, message, line);
    }
    if (error instanceof WebAssembly.RuntimeError || error instanceof RangeError) {
      const why = this.module.lastPanic() || error.message;
      this.broken = new VivavoceError("InternalError", `${why}; load the recogniser anew`);
      return this.broken;
    }
    return error;
  }

  /** Loads the model at `url`, or of `files`. */
  async load({ url, files, precision, options }, onProgress) {
    const model = files ? { name: "", files: Object.entries(files) } : await this.fetchModel(url, onProgress);
    return this.guarded(() => {
      const loader = new this.module.Loader();
      // What the module has taken is not wanted here any more.
      for (let next = model.files.shift(); next; next = model.files.shift()) loader.file(...next);
      this.recognizer = loader.build(precision);
      this.recognizer.check(encoded(options));
      return { name: model.name, sampleRate: this.recognizer.sampleRate, version: this.module.version() };
    });
  }

  session({ session, rate, options }) {
    return this.guarded(() => {
      this.sessions.set(session, this.recognizer.session(rate ?? this.recognizer.sampleRate, encoded(options)));
    });
  }

  #tell(session, work) {
    const stream = this.sessions.get(session);
    if (!stream) throw new VivavoceError("UsageError", "the session is closed");
    return this.guarded(() => ({ events: events(work(stream)), time: stream.time, hearsVoice: stream.hearsVoice }));
  }

  accept({ session, samples }) {
    return this.#tell(session, (stream) => stream.accept(samples));
  }

  finish({ session }) {
    return this.#tell(session, (stream) => stream.finish());
  }

  cut({ session }) {
    return this.#tell(session, (stream) => stream.cut());
  }

  reset({ session }) {
    return this.#tell(session, (stream) => {
      stream.reset();
      return "[]";
    });
  }

  close({ session }) {
    if (!this.broken) this.sessions.get(session)?.free();
    this.sessions.delete(session);
  }

  /** Hears a recording to its end: contents of a file with a name, or samples with a rate. Others have their turn meanwhile. */
  async transcribe({ number, name, contents, samples, rate, options }, told = () => {}) {
    const recording = this.guarded(() =>
      contents
        ? this.recognizer.contents(name, contents, encoded(options))
        : this.recognizer.samples(samples, rate, encoded(options)));
    const segments = [];
    try {
      let [began, untold] = [performance.now(), []];
      while (!recording.over) {
        const heard = this.guarded(() => events(recording.advance()));
        untold.push(...heard);
        for (const { event, ...segment } of heard) {
          if (event === "final" && segment.text) segments.push(segment);
        }
        if (performance.now() - began < TURN_MS && !recording.over) continue;
        told({ events: untold, time: recording.time, duration: recording.duration });
        untold = [];
        await turn();
        if (this.stopped.has(number)) throw new VivavoceError("AbortError", "the transcription was stopped");
        began = performance.now();
      }
      const text = segments.map((segment) => segment.text).join(" ");
      const words = segments.flatMap((segment) => segment.words);
      return { text, words, segments, duration: recording.time, warnings: recording.warnings };
    } finally {
      this.stopped.delete(number);
      if (!this.broken) recording.free();
    }
  }

  /** Ends a transcription early. */
  stop({ number }) {
    this.stopped.add(number);
  }
}
