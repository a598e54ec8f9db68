/** Words and phrases: lines of text, a list of them, or a mapping to boosts in nats. */
export type WordList = string | string[] | Record<string, number>;

/** Where segments end; what is absent is as the library has it. Lengths are in seconds. */
export interface Endpoints {
  /** Silence after which a segment without words is over (2.4). */
  silence_s?: number;
  /** Silence after which a segment with words is over (1.2). */
  after_speech_s?: number;
  /** Length at which a segment is cut behind its last confirmed word (20). */
  utterance_s?: number;
  /** Whether the network forgets what it has heard (no). */
  reset?: boolean;
  /** Whether the network sleeps in silence (yes in a session, no for recordings). */
  sleep?: boolean;
  /** Audio before a voice was noticed that is heard when the network wakes (0.5). */
  pre_roll_s?: number;
  /** Score in 0..1 from which sound is a voice; lower hears fainter ones (0.5). */
  voice_threshold?: number;
}

/** Choices of a stream; what is absent is as the model has it. */
export interface Options {
  latency?: "low" | "balanced" | "accurate";
  search?: "beam" | "tokens" | "greedy";
  /** Hypotheses kept. */
  beam?: number;
  /** Factor of the language model. */
  lm_weight?: number;
  /** Nats added for every word. */
  word_bonus?: number;
  /** Words and phrases to expect: `["new york", "kowalczyk : 4", "nguyen = W IH N"]` or `{ kowalczyk: 4 }`. */
  hotwords?: WordList;
  /** The only phrases to expect: a phrase a line, or JSGF; anything else is `[unk]`. */
  grammar?: string | string[];
  /** Cost, in nats, of each sound of speech that is no phrase of the grammar (2). */
  unknown_cost?: number;
  /** Write numbers as digits. */
  digits?: boolean;
  /** Write sentence ends, commas and capitals. */
  punctuate?: boolean;
  /** Other readings of each segment, at most. */
  alternatives?: number;
  /** Whether a stream tells whenever the words change (yes; for recordings only if somebody listens to events). */
  partials?: boolean;
  /** Where segments end; `false`: one until the end. */
  endpoints?: boolean | Endpoints;
}

export interface Word {
  word: string;
  /** Seconds from the start of the stream to its beginning. */
  start: number;
  /** Seconds from the start of the stream to its end. */
  end: number;
  /** Probability, in 0..1, that the word is right. */
  confidence: number;
}

export interface Alternative {
  text: string;
  /** Natural log-score; only differences mean something. */
  score: number;
  /** Its share, in 0..1, of the probability of all alternatives given. */
  confidence: number;
}

/** The words so far have changed. */
export interface Partial {
  event: "partial";
  /** All words so far. */
  text: string;
  /** Those that are never taken back, only added to. */
  confirmed: string;
  /** The rest; may change. */
  tentative: string;
  /** Seconds of audio heard. */
  time: number;
}

export interface Segment {
  text: string;
  /** As they were spoken. */
  words: Word[];
  /** As `text` has them, where that is different: with `digits` or `punctuate`. A number is one word. */
  written: Word[];
  /** Under a grammar, the tags of what was said, in its order. */
  tags: string[];
  /** Other readings, best first, where more than one was asked for. */
  alternatives: Alternative[];
  /** Which segment of its stream, from 0. */
  segment: number;
  /** Seconds from the start of the stream to that of the segment. */
  start: number;
  /** Seconds of audio heard. */
  time: number;
}

/** A segment is over. */
export interface Final extends Segment {
  event: "final";
}

/** The end of a segment was found. */
export interface Endpoint {
  event: "endpoint";
  time: number;
}

/** How a microphone is doing, ten times a second. */
export interface Status {
  event: "status";
  /** Seconds of audio heard. */
  time: number;
  /** Seconds from the capture of the latest audio to now, when it has been heard. */
  lag: number;
  /** The loudest sample of late, in 0..1. */
  peak: number;
  /** Whether a voice is heard. */
  voice: boolean;
}

/** The machine is too slow: sound of a microphone was dropped. */
export interface Overrun {
  event: "overrun";
  /** Seconds. */
  lost: number;
}

export type Event = Partial | Final | Endpoint;

export interface Transcript {
  text: string;
  words: Word[];
  /** Those that have words. */
  segments: Segment[];
  /** Seconds of audio. */
  duration: number;
  /** What was wrong with the audio without being an error. */
  warnings: string[];
}

/** What vivavoce refuses. */
export class VivavoceError extends Error {
  name:
    | "ReadError" | "AudioError" | "SamplesError" | "ModelError" | "ConfigError" | "ListError" | "UsageError"
    | "MicrophoneError" | "InternalError" | "Error";
  /** Of a list of hotwords or a grammar, counted from 1. */
  line?: number;
}

/** A stream: samples go in, events come out while the person is still speaking. */
export class Session {
  private constructor();
  /** Samples a second that it wants. */
  readonly rate: number;
  /** Seconds of audio heard. */
  readonly time: number;
  /** Whether somebody speaks. */
  readonly hearsVoice: boolean;
  /** Hears the next samples, mono and in [-1, 1], of any number; what that led to. */
  accept(samples: Float32Array): Promise<Event[]>;
  /** Ends the stream, so that its last words come out. Does nothing the second time. */
  finish(): Promise<Event[]>;
  /** Ends the segment here and lets its last word come out; listening goes on. */
  cut(): Promise<Event[]>;
  /** Begins a new stream with the same options. */
  reset(): Promise<void>;
  /** Hears all of `chunks` and gives the events as they come. */
  events(chunks: Iterable<Float32Array> | AsyncIterable<Float32Array>): AsyncGenerator<Event>;
  /** Frees it. */
  close(): Promise<void>;
}

/** A microphone that is listened to. */
export class Microphone implements AsyncIterable<Event | Status | Overrun> {
  private constructor();
  readonly stream: MediaStream;
  /** Done when it has ended, by `stop` or because the microphone is gone. */
  readonly ended: Promise<void>;
  /** Ends it; done when the last words were told. */
  stop(): Promise<void>;
  [Symbol.asyncIterator](): AsyncIterator<Event | Status | Overrun>;
}

export interface TranscribeOptions extends Options {
  /** Of bare samples, in Hz. */
  rate?: number;
  /** Stands in messages for what has no name. */
  name?: string;
  onEvent?(event: Event): void;
  /** Seconds heard, and the length as far as the file tells. */
  onProgress?(progress: { time: number; duration?: number }): void;
  /** Stops it; the promise is rejected with an AbortError. */
  signal?: AbortSignal;
}

export interface ListenOptions extends Options {
  /** Instead of the microphone. */
  source?: MediaStream;
  onEvent?(event: Event | Status | Overrun): void;
  /** Is given the samples that the recogniser hears, 100 ms at a time. */
  onSamples?(samples: Float32Array): void;
}

/** A model that recognises, with choices that hold for all it is asked. */
export class Recognizer {
  private constructor();
  /** The model's name. */
  readonly name: string;
  /** Rate in Hz of the samples that the model hears; any from 8 to 192 kHz can be given. */
  readonly sampleRate: number;
  /** The library's version. */
  readonly version: string;
  /** Transcribes audio to its end: a File or Blob, the bytes of an audio file, an AudioBuffer, or samples with their `rate`. */
  transcribe(audio: Blob | ArrayBuffer | Uint8Array | AudioBuffer | Float32Array, options?: TranscribeOptions): Promise<Transcript>;
  /** A stream of samples at `rate` Hz, by default `sampleRate`. */
  session(options?: Options & { rate?: number }): Promise<Session>;
  /** Listens to a microphone. */
  listen(options?: ListenOptions): Promise<Microphone>;
  /** Frees the model and all that is heard with it. */
  close(): void;
}

export interface LoadOptions extends Options {
  /** Bytes, and whether none of them came over the network. */
  onProgress?(progress: { loaded: number; total: number; cached: boolean }): void;
  /** How the network is computed; by default as the model is stored. */
  precision?: "f32" | "int8";
}

/** Loads the model whose files stand at a URL, or whose files are given by name. Options hold for every stream unless a call says otherwise. */
export function load(model: string | URL | Record<string, Uint8Array>, options?: LoadOptions): Promise<Recognizer>;
