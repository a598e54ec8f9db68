// vivavoce in the browser: speech to text on the page's own machine. All that computes runs in a Worker.
//
//   import * as vivavoce from "vivavoce";
//   const recognizer = await vivavoce.load("model/");
//   console.log((await recognizer.transcribe(file)).text);

import { VivavoceError, unflattened } from "./errors.js";

export { VivavoceError };

/** The recogniser wants what was said, not what a telephone would make of it. */
const RAW = { channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: false };

/** Calls to a Worker, and what it tells in between. */
class Line {
  constructor() {
    this.worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module", name: "vivavoce" });
    this.waiting = new Map();
    this.listening = new Map();
    this.number = 0;
    this.worker.onmessage = ({ data }) => this.#hear(data);
    this.worker.onerror = (event) => {
      event.preventDefault();
      this.end(new VivavoceError("InternalError", `the Worker cannot run: ${event.message ?? "its script or module was not loaded"}`));
    };
  }

  #hear({ number, session, value, error, progress, ...rest }) {
    if (session != null) return this.listening.get(session)?.({ error: error && unflattened(error), ...rest });
    const waits = this.waiting.get(number);
    if (!waits) return;
    if (progress) return waits.told?.(progress);
    this.waiting.delete(number);
    if (error) waits.reject(unflattened(error));
    else waits.resolve(value);
  }

  call(name, args, { told, transfer = [], signal } = {}) {
    if (this.over) return Promise.reject(this.over);
    const number = ++this.number;
    const stop = () => this.worker.postMessage({ number: 0, call: "stop", args: { number } });
    signal?.addEventListener("abort", stop, { once: true });
    return new Promise((resolve, reject) => {
      this.waiting.set(number, { resolve, reject, told });
      this.worker.postMessage({ number, call: name, args }, transfer);
    }).finally(() => signal?.removeEventListener("abort", stop));
  }

  end(error) {
    this.over = error;
    this.worker.terminate();
    for (const { reject } of this.waiting.values()) reject(error);
    for (const tell of this.listening.values()) tell({ error, over: true });
    this.waiting.clear();
    this.listening.clear();
  }
}

/** A stream of samples: they go in, events come out while the person is still speaking. Made by {@link Recognizer#session}. */
export class Session {
  #line;
  #id;

  constructor(line, id, rate) {
    this.#line = line;
    this.#id = id;
    /** Samples a second that it wants. */
    this.rate = rate;
    /** Seconds of audio heard. */
    this.time = 0;
    /** Whether somebody speaks. */
    this.hearsVoice = false;
  }

  async #tell(call, args = {}) {
    const { events, time, hearsVoice } = await this.#line.call(call, { session: this.#id, ...args });
    Object.assign(this, { time, hearsVoice });
    return events;
  }

  /** Hears the next samples, mono and in [-1, 1], of any number; what that led to. */
  accept(samples) {
    if (!(samples instanceof Float32Array)) {
      return Promise.reject(new VivavoceError("SamplesError", "samples are a Float32Array of values in [-1, 1]"));
    }
    return this.#tell("accept", { samples });
  }

  /** Ends the stream, so that its last words come out. Does nothing the second time. */
  finish() {
    return this.#tell("finish");
  }

  /** Ends the segment here and lets its last word come out; listening goes on. */
  cut() {
    return this.#tell("cut");
  }

  /** Begins a new stream with the same options. */
  async reset() {
    await this.#tell("reset");
  }

  /** Hears all of `chunks`, which may come one by one, and gives the events as they come. */
  async *events(chunks) {
    for await (const chunk of chunks) yield* await this.accept(chunk);
    yield* await this.finish();
  }

  /** Frees it. */
  async close() {
    await this.#line.call("close", { session: this.#id });
  }
}

/** A microphone that is listened to. Events come one by one (`for await`), or to `onEvent`. Made by {@link Recognizer#listen}. */
export class Microphone {
  #events = [];
  #wake = () => {};
  #onEvent;
  #stop;
  #failed;
  #done = false;
  #end;
  #ended = new Promise((resolve) => { this.#end = resolve; });

  constructor(stream, onEvent, stop) {
    /** The MediaStream. */
    this.stream = stream;
    this.#onEvent = onEvent;
    this.#stop = stop;
  }

  /** From the Worker. */
  hear({ events = [], error, over }) {
    for (const event of events) {
      if (this.#onEvent) this.#onEvent(event);
      else this.#events.push(event);
    }
    this.#failed ??= error;
    if (over) {
      this.#done = true;
      this.#end();
    }
    this.#wake();
  }

  /** Ends it; done when the last words were told. */
  async stop() {
    await this.#stop();
    await this.#ended;
    if (this.#failed) throw this.#failed;
  }

  /** Done when it has ended, by `stop` or because the microphone is gone. */
  get ended() {
    return this.#ended;
  }

  async *[Symbol.asyncIterator]() {
    try {
      for (;;) {
        while (this.#events.length) yield this.#events.shift();
        if (this.#failed) throw this.#failed;
        if (this.#done) return;
        await new Promise((wake) => { this.#wake = wake; });
      }
    } finally {
      if (!this.#done) await this.stop();
    }
  }
}

async function microphone() {
  if (!navigator.mediaDevices?.getUserMedia) {
    throw new VivavoceError("MicrophoneError", "a browser gives the microphone to https and to localhost only");
  }
  try {
    return await navigator.mediaDevices.getUserMedia({ audio: RAW });
  } catch (error) {
    const why = { NotFoundError: "there is no microphone", NotAllowedError: "the microphone was refused; allow it in the browser's settings" };
    throw new VivavoceError("MicrophoneError", why[error.name] ?? `the microphone cannot be opened: ${error.message}`);
  }
}

/** The mean of the channels. */
function downMixed(buffer) {
  const mono = new Float32Array(buffer.length);
  for (let c = 0; c < buffer.numberOfChannels; c++) {
    const channel = buffer.getChannelData(c);
    for (let i = 0; i < mono.length; i++) mono[i] += channel[i] / buffer.numberOfChannels;
  }
  return mono;
}

/** A model that recognises, with choices that hold for all it is asked. Made by {@link load}. */
export class Recognizer {
  #line;
  #options;
  #sessions = 0;

  constructor(line, { name, sampleRate, version }, options) {
    this.#line = line;
    this.#options = options;
    /** The model's name. */
    this.name = name;
    /** Rate in Hz of the samples that the model hears; any from 8 to 192 kHz can be given. */
    this.sampleRate = sampleRate;
    /** The library's version. */
    this.version = version;
  }

  /**
   * Transcribes audio to its end: a File or Blob, the bytes of an audio file, an AudioBuffer, or a Float32Array with its `rate`.
   * WAV, Ogg Opus, Ogg Vorbis, FLAC, MP3, M4A, AAC, AIFF, Matroska and WebM are understood, and whatever else the browser can decode.
   */
  async transcribe(audio, { rate, name, onEvent, onProgress, signal, ...options } = {}) {
    signal?.throwIfAborted();
    const args = { options: { ...this.#options, ...options } };
    if (onEvent && args.options.partials == null) args.options.partials = true;
    if (globalThis.AudioBuffer && audio instanceof AudioBuffer) {
      Object.assign(args, { samples: downMixed(audio), rate: audio.sampleRate });
    } else if (audio instanceof Float32Array) {
      if (!rate) throw new VivavoceError("SamplesError", "samples need their rate: transcribe(samples, { rate: 16000 })");
      Object.assign(args, { samples: audio, rate });
    } else if (audio instanceof Blob) {
      Object.assign(args, { contents: new Uint8Array(await audio.arrayBuffer()), name: name ?? audio.name ?? "(audio)" });
    } else if (audio instanceof ArrayBuffer || ArrayBuffer.isView(audio)) {
      const bytes = audio instanceof ArrayBuffer ? new Uint8Array(audio) : new Uint8Array(audio.buffer, audio.byteOffset, audio.byteLength);
      Object.assign(args, { contents: bytes, name: name ?? "(audio)" });
    } else {
      throw new VivavoceError("SamplesError", "audio is a File, a Blob, the bytes of a file, an AudioBuffer, or a Float32Array");
    }
    const told = ({ events, ...progress }) => {
      if (onEvent) events.forEach(onEvent);
      onProgress?.(progress);
    };
    try {
      return await this.#line.call("transcribe", args, { told, signal });
    } catch (error) {
      if (error.name !== "AudioError" || !globalThis.OfflineAudioContext) throw error;
      // What the library cannot decode the browser may.
      let buffer;
      try {
        const { buffer: copy } = args.contents.slice();
        buffer = await new OfflineAudioContext(1, 1, this.sampleRate).decodeAudioData(copy);
      } catch {
        throw error;
      }
      return this.#line.call("transcribe", { options: args.options, samples: downMixed(buffer), rate: buffer.sampleRate }, { told, signal });
    }
  }

  /** A stream of samples at `rate` Hz, by default {@link Recognizer#sampleRate}. */
  async session({ rate = this.sampleRate, ...options } = {}) {
    const id = ++this.#sessions;
    await this.#line.call("session", { session: id, rate, options: { ...this.#options, ...options } });
    return new Session(this.#line, id, rate);
  }

  /**
   * Listens to a microphone, or to the MediaStream `source`. `onEvent` is told each event; without it they come one by one.
   * `onSamples` is given the samples too, as the recogniser hears them.
   */
  async listen({ source, onEvent, onSamples, ...options } = {}) {
    const stream = source ?? (await microphone());
    const release = () => source || stream.getTracks().forEach((track) => track.stop());
    // Browsers connect no microphone to a context of another rate, so the rate is told instead.
    const context = new AudioContext();
    const id = ++this.#sessions;
    let heard;
    try {
      await context.audioWorklet.addModule(new URL("./worklet.js", import.meta.url));
      await this.#line.call("session", { session: id, rate: context.sampleRate, options: { ...this.#options, ...options } });
      const tap = new AudioWorkletNode(context, "vivavoce", { numberOfOutputs: 0, channelCount: 1, channelCountMode: "explicit" });
      heard = new Microphone(stream, onEvent, () => tap.port.postMessage("stop"));
      tap.port.onmessage = ({ data }) => data instanceof Float32Array && onSamples?.(data);
      this.#line.listening.set(id, (told) => heard.hear(told));
      const { port1, port2 } = new MessageChannel();
      await this.#line.call("join", { session: id }, { transfer: [port1] });
      tap.port.postMessage({ page: Boolean(onSamples) }, [port2]);
      context.createMediaStreamSource(stream).connect(tap);
      stream.getTracks().forEach((track) => track.addEventListener("ended", () => heard.stop().catch(() => {})));
      await context.resume();
    } catch (error) {
      this.#line.listening.delete(id);
      release();
      await context.close();
      throw error instanceof VivavoceError ? error : new VivavoceError("MicrophoneError", `the microphone cannot be heard: ${error.message}`);
    }
    heard.ended.then(async () => {
      this.#line.listening.delete(id);
      release();
      await context.close();
    });
    return heard;
  }

  /** Frees the model and all that is heard with it. */
  close() {
    this.#line.end(new VivavoceError("UsageError", "the recogniser is closed"));
  }
}

/**
 * Loads the model whose files stand at `model`, a URL; or that whose files are given, as `{ "config.json": Uint8Array, ... }`.
 * `onProgress` is told `{ loaded, total, cached }`. What is fetched once is kept by the browser. `precision`: "f32" or "int8".
 * All else holds for every stream unless a call says otherwise.
 */
export async function load(model, { onProgress, precision, ...options } = {}) {
  const line = new Line();
  const from = typeof model === "string" || model instanceof URL ? { url: new URL(model, globalThis.location?.href).href } : { files: model };
  try {
    const found = await line.call("load", { ...from, precision, options }, { told: onProgress });
    return new Recognizer(line, found, options);
  } catch (error) {
    line.end(error);
    throw error;
  }
}
