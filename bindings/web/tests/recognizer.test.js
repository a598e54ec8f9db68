// What the Worker computes, without a browser: words are those of the program (VIVAVOCE), whichever way the sound comes.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import test, { before } from "node:test";
import { fileURLToPath } from "node:url";

import { Calls } from "../calls.js";
import { VivavoceError } from "../errors.js";
import * as glue from "../pkg/vivavoce.js";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const SAMPLES = here("../../../audio-samples/");
const MODEL = here("../site/model/");
const PROGRAM = resolve(process.env.VIVAVOCE ?? here("../../../target/debug/vivavoce"));
const CLIP = "kitchen-int16-8000-mono.wav";

const program = (...args) => execFileSync(PROGRAM, ["transcribe", ...args], { cwd: SAMPLES, encoding: "utf8" });
const contents = (name) => new Uint8Array(readFileSync(SAMPLES + name));

function modelFiles() {
  const { files } = JSON.parse(readFileSync(`${MODEL}files.json`, "utf8"));
  return Object.fromEntries(files.map(({ name }) => [name, new Uint8Array(readFileSync(MODEL + name))]));
}

/** The samples of a WAV file of 16 bits with the usual header. */
function samples(name) {
  const bytes = contents(name).slice(44);
  return Float32Array.from(new Int16Array(bytes.buffer), (value) => value / 32768);
}

let calls;
before(async () => {
  glue.initSync({ module: readFileSync(here("../pkg/vivavoce_bg.wasm")) });
  calls = new Calls(glue);
  const loaded = await calls.load({ files: modelFiles() });
  assert.deepEqual(loaded, { name: "", sampleRate: 16000, version: JSON.parse(readFileSync(here("../package.json"), "utf8")).version });
});

let number = 0;
const transcribe = (args, told) => calls.transcribe({ number: ++number, ...args }, told);

/** All events of a stream that hears `all` in chunks. */
function stream(all, { rate = 8000, chunk, ...options } = {}) {
  const session = ++number;
  calls.session({ session, rate, options });
  const events = [];
  for (let at = 0; at < all.length; at += chunk) events.push(...calls.accept({ session, samples: all.slice(at, at + chunk) }).events);
  const last = calls.finish({ session });
  calls.close({ session });
  return { events: [...events, ...last.events], time: last.time };
}

function kindOf(work, kind, pattern) {
  const right = (error) => {
    assert.ok(error instanceof VivavoceError, error.stack);
    assert.equal(error.name, kind, error.message);
    assert.match(error.message, pattern);
    return true;
  };
  return typeof work === "function" ? assert.throws(work, right) : assert.rejects(work, right);
}

test("every sample has the words of the program", async () => {
  const names = readdirSync(SAMPLES).filter((name) => name.endsWith(".wav"));
  assert.ok(names.length > 10);
  const apart = [];
  for (const name of names) {
    const expected = JSON.parse(program("--format", "json", name));
    const said = await transcribe({ contents: contents(name), name });
    assert.equal(said.text, expected.text, name);
    assert.equal(said.words.length, expected.result.length, name);
    said.words.forEach((word, i) => {
      const other = expected.result[i];
      const near = (mine, its, most) => assert.ok(Math.abs(mine - its) <= most, `${name}: ${JSON.stringify(word)}, ${JSON.stringify(other)}`);
      assert.equal(word.word, other.word);
      near(word.start, other.start, 0.05);
      near(word.end, other.end, 0.05);
      // It depends on which hypotheses were kept beside the best, where the last bit may decide.
      near(word.confidence, other.conf, 0.3);
      apart.push(Math.abs(word.confidence - other.conf));
    });
  }
  assert.ok(apart.reduce((sum, one) => sum + one, 0) / apart.length < 0.01);
});

test("options are those of the program", async () => {
  for (const [flags, options] of [
    [["--latency", "low"], { latency: "low" }],
    [["--punctuate", "--digits"], { punctuate: true, digits: true }],
    [["--beam", "16", "--lm-weight", "0.5"], { beam: 16, lm_weight: 0.5 }],
  ]) {
    const expected = program("--format", "txt", ...flags, CLIP).trim();
    assert.equal((await transcribe({ contents: contents(CLIP), name: CLIP, options })).text, expected);
  }
});

test("hotwords are text, lists or mappings", async () => {
  const folder = mkdtempSync(join(tmpdir(), "vivavoce-"));
  const path = join(folder, "hotwords.txt");
  writeFileSync(path, "bred : 8\nkitchen table : 2\n");
  const expected = program("--format", "txt", "--hotwords", path, CLIP).trim();
  rmSync(folder, { recursive: true });
  const usual = (await transcribe({ contents: contents(CLIP), name: CLIP })).text;
  assert.notEqual(expected, usual);
  for (const hotwords of ["bred : 8\nkitchen table : 2", ["bred : 8", "kitchen table : 2"], { bred: 8, "kitchen table": 2 }]) {
    assert.equal((await transcribe({ contents: contents(CLIP), name: CLIP, options: { hotwords } })).text, expected);
  }
});

test("samples have the words of their file, however they are cut", async () => {
  const all = samples(CLIP);
  const expected = (await transcribe({ contents: contents(CLIP), name: CLIP })).text;
  assert.equal((await transcribe({ samples: all, rate: 8000 })).text, expected);
  const streams = [80, 801, 4000, all.length].map((chunk) => stream(all, { chunk, endpoints: { sleep: false } }));
  const finals = streams.map(({ events }) => events.filter(({ event }) => event === "final"));
  for (const one of finals) assert.deepEqual(one, finals[0]);
  assert.equal(finals[0].map(({ text }) => text).join(" ").trim(), expected);
  assert.ok(Math.abs(streams[0].time - all.length / 8000) < 0.01);
});

test("confirmed words are never taken back", () => {
  const { events } = stream(samples(CLIP), { chunk: 800 });
  const partials = events.filter(({ event }) => event === "partial");
  assert.ok(partials.length > 3);
  let confirmed = "";
  for (const partial of partials) {
    assert.ok(partial.confirmed.startsWith(confirmed), `${confirmed} | ${partial.confirmed}`);
    assert.equal([partial.confirmed, partial.tentative].filter(Boolean).join(" "), partial.text);
    confirmed = partial.confirmed;
  }
  const final = events.at(-1);
  assert.equal(final.event, "final");
  assert.ok(final.text.startsWith(confirmed));
  assert.deepEqual(final.words.map(({ word }) => word).join(" "), final.text);
  assert.ok(final.words.every(({ start, end, confidence }) => start < end && confidence >= 0 && confidence <= 1));
});

test("a session can be cut and begun anew", () => {
  const session = ++number;
  calls.session({ session, rate: 8000, options: {} });
  const hear = () => calls.accept({ session, samples: samples(CLIP) }).events;
  const finals = (events) => events.filter(({ event }) => event === "final").map(({ text }) => text);
  const first = [...hear(), ...calls.cut({ session }).events];
  assert.equal(finals(first).length, 1);
  calls.reset({ session });
  assert.equal(calls.finish({ session }).time, 0);
  calls.reset({ session });
  assert.deepEqual(finals([...hear(), ...calls.cut({ session }).events]), finals(first));
  calls.close({ session });
  kindOf(() => calls.accept({ session, samples: new Float32Array(1) }), "UsageError", /closed/);
});

test("a transcription tells how far it is, lets others in and can be stopped", async () => {
  const name = "story-int16-16000-mono.wav";
  const told = [];
  let others = 0;
  const timer = setInterval(() => others++, 5);
  const said = await transcribe({ contents: contents(name), name, options: { partials: true } }, (progress) => told.push(progress));
  clearInterval(timer);
  assert.ok(told.length > 5 && others > 5, `${told.length} ${others}`);
  assert.ok(told.every(({ duration }) => Math.abs(duration - 59.1) < 1));
  assert.equal(told.at(-1).time, said.duration);
  const events = told.flatMap(({ events }) => events);
  assert.ok(events.some(({ event }) => event === "partial"));
  assert.deepEqual(events.filter(({ event, text }) => event === "final" && text).map(({ text }) => text), said.segments.map(({ text }) => text));
  const stopped = transcribe({ contents: contents(name), name });
  setTimeout(calls.stop.bind(calls), 50, { number });
  await kindOf(stopped, "AbortError", /stopped/);
  assert.equal(calls.stopped.size, 0);
});

test("errors say what is wrong", async () => {
  await kindOf(transcribe({ contents: new TextEncoder().encode("no sound"), name: "x.wav" }), "AudioError", /x\.wav/);
  await kindOf(transcribe({ samples: new Float32Array([0, NaN]), rate: 16000 }), "SamplesError", /sample 1 is NaN/);
  await kindOf(transcribe({ samples: new Float32Array(10), rate: 4000 }), "SamplesError", /4000|8000/);
  await kindOf(transcribe({ contents: contents(CLIP), name: CLIP, options: { beems: 3 } }), "ConfigError", /beems/);
  const session = (options) => () => calls.session({ session: ++number, rate: 16000, options });
  kindOf(session({ latency: "fast" }), "ConfigError", /low.*balanced.*accurate|fast/);
  kindOf(session({ hotwords: ["new york", "a1"] }), "ListError", /line 2/);
  try {
    session({ hotwords: ["new york", "a1"] })();
  } catch (error) {
    assert.equal(error.line, 2);
  }
  const open = ++number;
  calls.session({ session: open, rate: 16000, options: {} });
  calls.finish({ session: open });
  kindOf(() => calls.accept({ session: open, samples: new Float32Array(9) }), "UsageError", /finish/);
});

test("a model that is incomplete or damaged is refused", async () => {
  const without = modelFiles();
  delete without["lexicon.bin"];
  await kindOf(new Calls(glue).load({ files: without }), "ModelError", /lexicon\.bin/);
  const damaged = modelFiles();
  damaged["lm.bin"] = damaged["lm.bin"].slice(0, 1000);
  await kindOf(new Calls(glue).load({ files: damaged }), "ModelError", /lm\.bin/);
  await kindOf(new Calls(glue).load({ files: modelFiles(), options: { beam: 0 } }), "ConfigError", /beam/);
});

test("a mistake of the library is told and ends the recogniser", () => {
  const broken = new Calls({ lastPanic: () => "panicked at x" });
  kindOf(() => broken.guarded(() => { throw new WebAssembly.RuntimeError("unreachable"); }), "InternalError", /panicked at x/);
  kindOf(() => broken.guarded(() => 1), "InternalError", /load the recogniser anew/);
});
