// The demo: a microphone or a file, recognised in the browser. Confirmed words are plain, the rest is dim.

import { load } from "./vivavoce/index.js";

const $ = (id) => document.getElementById(id);
/** Words below it are marked as unsure. */
const SURE = 0.5;

const state = { recognizer: undefined, busy: false, listening: false, stop: undefined, words: [] };

function say(text) {
  $("status").textContent = text;
}

function options() {
  const hotwords = $("hotwords").value.split(",").map((word) => word.trim()).filter(Boolean);
  return { latency: $("latency").value || undefined, hotwords: hotwords.length ? hotwords : undefined };
}

/** What can be done now. Who has reached a button by the keyboard stays on it. */
function show() {
  for (const id of ["record", "file"]) $(id).disabled = !state.recognizer;
  $("file").setAttribute("aria-disabled", state.busy);
  $("record").textContent = state.busy ? "Stop" : "Start the microphone";
  $("record").setAttribute("aria-pressed", state.listening);
  $("progress").hidden = Boolean(state.recognizer) && (!state.busy || state.listening);
  $("level").hidden = !state.listening;
  $("level").value = 0;
  $("lag").textContent = "";
  $("downloads").hidden = state.words.length === 0;
}

function confirmed(text) {
  $("words").querySelector(".confirmed")?.remove();
  if (!text) return;
  const span = document.createElement("span");
  span.className = "confirmed";
  span.textContent = `${text} `;
  $("words").append(span);
}

function write(event) {
  if (event.event === "partial") {
    confirmed(event.confirmed);
    $("tentative").textContent = event.tentative;
  } else if (event.event === "final") {
    confirmed("");
    $("tentative").textContent = "";
    for (const word of event.words) {
      state.words.push(word);
      const span = document.createElement("span");
      span.className = word.confidence < SURE ? "word unsure" : "word";
      span.textContent = word.word;
      span.title = `${word.start.toFixed(1)} s, ${Math.round(word.confidence * 100)} % sure`;
      $("words").append(span, " ");
    }
    $("downloads").hidden = state.words.length === 0;
  } else if (event.event === "status") {
    $("level").value = event.peak;
    $("lag").textContent = `${Math.round(event.lag * 1000)} ms behind`;
  } else if (event.event === "overrun") {
    say(`This machine is too slow: ${event.lost.toFixed(1)} s were not heard.`);
  }
}

/** Does something that hears, one at a time; says what goes wrong. */
async function busy(listening, work) {
  if (state.busy) return say("One at a time: stop this first.");
  Object.assign(state, { busy: true, listening });
  show();
  try {
    await work();
  } catch (error) {
    confirmed("");
    $("tentative").textContent = "";
    say(error.name === "AbortError" ? "Stopped." : `${error.message}.`);
  } finally {
    Object.assign(state, { busy: false, listening: false, stop: undefined });
    show();
  }
}

function record() {
  if (state.busy) return state.stop?.();
  return busy(true, async () => {
    const microphone = await state.recognizer.listen({ ...options(), onEvent: write, onSamples: window.onSamples });
    state.stop = () => microphone.stop();
    say("Listening.");
    await microphone.ended;
    // Throws if something other than the button has ended it.
    await microphone.stop();
    say(`${state.words.length} words.`);
  });
}

function open(file) {
  if (!file || !state.recognizer) return;
  return busy(false, async () => {
    say(`Hearing ${file.name}.`);
    const abort = new AbortController();
    state.stop = () => abort.abort();
    const began = performance.now();
    const onProgress = ({ time, duration }) => {
      if (duration) $("progress").value = Math.min(1, time / duration);
    };
    $("progress").value = 0;
    const said = await state.recognizer.transcribe(file, { ...options(), onEvent: write, onProgress, signal: abort.signal });
    const took = (performance.now() - began) / 1000;
    say(`${said.words.length} words. ${said.duration.toFixed(1)} s of speech took ${took.toFixed(2)} s. ${said.warnings.join(" ")}`.trim());
  });
}

const kinds = {
  txt: () => `${state.words.map(({ word }) => word).join(" ")}\n`,
  json: () => JSON.stringify(state.words, null, 1),
};

function keep(kind) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([kinds[kind]()], { type: "text/plain" }));
  link.download = `speech.${kind}`;
  link.click();
  URL.revokeObjectURL(link.href);
}

$("controls").onsubmit = (event) => event.preventDefault();
$("record").onclick = record;
$("file").onchange = (event) => {
  const [file] = event.target.files;
  open(file);
  // The same file can be chosen again.
  event.target.value = "";
};
$("downloads").onclick = (event) => event.target.dataset.kind && keep(event.target.dataset.kind);
$("clear").onclick = () => {
  state.words = [];
  $("words").replaceChildren();
  show();
  $("record").focus();
};
document.ondragover = (event) => {
  event.preventDefault();
  document.body.classList.add("over");
};
document.ondragleave = () => document.body.classList.remove("over");
document.ondrop = (event) => {
  event.preventDefault();
  document.body.classList.remove("over");
  open(event.dataTransfer.files[0]);
};

async function begin() {
  const megabytes = (bytes) => Math.round(bytes / 1e6);
  const onProgress = ({ loaded, total, cached }) => {
    $("progress").value = loaded / total;
    if (!cached) $("lag").textContent = `${megabytes(loaded)} of ${megabytes(total)} MB`;
  };
  try {
    state.recognizer = await load("model/", { onProgress });
    document.documentElement.dataset.ready = Math.round(performance.now());
    say("Ready. A file can also be dropped anywhere on this page.");
  } catch (error) {
    say(`${error.message}.`);
  }
  show();
}

await begin();
// Keeps the page itself, as the model is kept by the library; it is no hurry, and a browser that refuses works with the network alone.
navigator.serviceWorker?.register("offline.js").catch(() => {});
