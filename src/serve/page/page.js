// The page of the server: a microphone or a file over the WebSocket of Vosk. Confirmed words are plain, the rest is dim.

const $ = (id) => document.getElementById(id);
// Messages that may be unanswered while a file is sent, and sound that is kept to be played again.
const AHEAD = 8;
const KEPT_S = 1800;
// The recogniser wants what was said, not what a telephone would make of it.
const RAW = { channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: false };
// Width of a tenth of a second in the curve, while all of it fits.
const BAR = 4;

const state = { words: [], sound: [], rate: 0, socket: null, sent: 0, answered: 0, stop: null, ended: null };

function say(text) {
  $("status").textContent = text;
}

function toBytes(samples) {
  const bytes = new Int16Array(samples.length);
  for (let i = 0; i < samples.length; i++) {
    bytes[i] = Math.max(-32768, Math.min(32767, Math.round(samples[i] * 32767)));
  }
  return bytes;
}

function address() {
  const url = new URL(".", location.href);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  if ($("key").value) url.searchParams.set("token", $("key").value);
  return url;
}

// Opens a socket for samples at `rate`; ends when the server has said all.
function connect(rate) {
  const config = { sample_rate: rate, detail: true };
  if ($("latency").value) config.latency = $("latency").value;
  const hotwords = $("hotwords").value.split(",").map((word) => word.trim()).filter(Boolean);
  if (hotwords.length) config.hotwords = hotwords;
  const socket = new WebSocket(address());
  Object.assign(state, { socket, sent: 0, answered: 0, rate });
  const offset = state.words.length ? state.words.at(-1).end : 0;
  state.sound = [];
  state.offset = offset;
  state.ended = new Promise((resolve) => {
    socket.onclose = (event) => {
      state.socket = null;
      $("tentative").textContent = "";
      $("lag").textContent = "";
      if (event.code === 1006) say("No connection: the server refused it or is gone. Is a key needed?");
      else if (event.code !== 1000) say(event.reason || `The server ended the connection (${event.code}).`);
      else say(`${state.words.length} words. A click on one plays it.`);
      resolve();
    };
  });
  socket.onmessage = (event) => hear(JSON.parse(event.data), offset);
  return new Promise((resolve, reject) => {
    socket.onopen = () => {
      socket.send(JSON.stringify({ config }));
      resolve(socket);
    };
    socket.addEventListener("close", () => reject(new Error("closed")), { once: true });
  });
}

function hear(answer, offset) {
  state.answered++;
  $("lag").textContent = `${Math.max(0, state.sent - state.answered) * 100} ms behind`;
  if ("partial" in answer) {
    const confirmed = answer.confirmed || "";
    $("words").querySelector(".confirmed")?.remove();
    if (confirmed) {
      const span = document.createElement("span");
      span.className = "confirmed";
      span.textContent = `${confirmed} `;
      $("words").append(span);
    }
    $("tentative").textContent = answer.partial.slice(confirmed.length).trim();
    return;
  }
  $("words").querySelector(".confirmed")?.remove();
  $("tentative").textContent = "";
  for (const word of answer.result || []) {
    const kept = { ...word, start: word.start + offset, end: word.end + offset, sound: word.start };
    state.words.push(kept);
    const button = document.createElement("button");
    button.type = "button";
    button.className = "word";
    button.textContent = word.word;
    button.tabIndex = state.words.length === 1 ? 0 : -1;
    button.title = `${word.start.toFixed(1)} s`;
    button.onclick = () => play(kept, button, state.sound, state.rate);
    $("words").append(button, " ");
  }
  $("downloads").hidden = state.words.length === 0;
}

function send(samples) {
  if (!state.socket || state.socket.readyState !== WebSocket.OPEN) return;
  state.socket.send(toBytes(samples));
  state.sent++;
  if (state.sound.length * samples.length < KEPT_S * state.rate) state.sound.push(samples);
  draw();
  let peak = 0;
  for (const sample of samples) peak = Math.max(peak, Math.abs(sample));
  $("level").value = peak;
}

async function finish() {
  if (state.socket?.readyState === WebSocket.OPEN) state.socket.send('{"eof" : 1}');
  await state.ended;
}

async function record() {
  if (state.stop) return state.stop();
  if (!navigator.mediaDevices?.getUserMedia) {
    return say("A browser gives the microphone to https and to localhost only. Open this page there, or drop a file.");
  }
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ audio: RAW });
  } catch (error) {
    const why = error.name === "NotFoundError" ? "There is no microphone." : "The microphone was refused.";
    return say(`${why} Allow it in the browser's settings, or drop a file.`);
  }
  // Firefox connects no microphone to a context of another rate, so the rate is told instead.
  const context = new AudioContext();
  const stop = async () => {
    state.stop = null;
    stream.getTracks().forEach((track) => track.stop());
    await context.close();
    await finish();
    $("record").textContent = "Start the microphone";
    $("record").setAttribute("aria-pressed", "false");
    $("level").value = 0;
  };
  try {
    await context.audioWorklet.addModule("page/worklet.js");
    await connect(context.sampleRate);
  } catch {
    stream.getTracks().forEach((track) => track.stop());
    await context.close();
    return;
  }
  const tap = new AudioWorkletNode(context, "tap", { numberOfOutputs: 0 });
  tap.port.onmessage = (event) => send(event.data);
  context.createMediaStreamSource(stream).connect(tap);
  state.stop = stop;
  state.ended.then(() => state.stop === stop && stop());
  $("record").textContent = "Stop";
  $("record").setAttribute("aria-pressed", "true");
  say("Listening.");
}

async function open(file) {
  if (!file || state.socket) return;
  say(`Reading ${file.name}.`);
  const context = new AudioContext();
  let buffer;
  try {
    buffer = await context.decodeAudioData(await file.arrayBuffer());
  } catch {
    return say(`${file.name} is no audio that this browser can read.`);
  } finally {
    await context.close();
  }
  const mono = new Float32Array(buffer.length);
  for (let c = 0; c < buffer.numberOfChannels; c++) {
    buffer.getChannelData(c).forEach((sample, i) => { mono[i] += sample / buffer.numberOfChannels; });
  }
  try {
    await connect(buffer.sampleRate);
  } catch {
    return;
  }
  say(`Hearing ${file.name}.`);
  const step = Math.round(buffer.sampleRate / 10);
  for (let at = 0; at < mono.length && state.socket; at += step) {
    while (state.sent - state.answered >= AHEAD && state.socket) await new Promise((go) => setTimeout(go, 5));
    send(mono.slice(at, at + step));
  }
  await finish();
  $("level").value = 0;
}

// The samples from one place to another; all pieces but the last are of one length.
function cut(pieces, from, to) {
  const size = pieces[0].length;
  const samples = [];
  for (let i = Math.max(0, Math.floor(from / size)); i < pieces.length && i * size < to; i++) {
    samples.push(...pieces[i].subarray(Math.max(0, from - i * size), to - i * size));
  }
  return Float32Array.from(samples);
}

function play(word, button, sound, rate) {
  if (!sound.length) return;
  const all = cut(sound, Math.floor((word.sound - 0.1) * rate), Math.ceil((word.sound + word.end - word.start + 0.1) * rate));
  if (!all.length) return;
  const context = new AudioContext();
  const buffer = context.createBuffer(1, all.length, rate);
  buffer.copyToChannel(all, 0);
  const source = new AudioBufferSourceNode(context, { buffer });
  source.connect(context.destination);
  button.classList.add("playing");
  source.onended = () => {
    button.classList.remove("playing");
    context.close();
  };
  source.start();
}

function draw() {
  const canvas = $("wave");
  const dense = window.devicePixelRatio || 1;
  [canvas.width, canvas.height] = [canvas.clientWidth * dense, canvas.clientHeight * dense];
  const pen = canvas.getContext("2d");
  pen.fillStyle = getComputedStyle(document.body).getPropertyValue("color");
  const bar = Math.max(1, Math.min(BAR * dense, Math.floor(canvas.width / Math.max(1, state.sound.length))));
  const shown = state.sound.slice(-Math.floor(canvas.width / bar));
  shown.forEach((samples, i) => {
    let peak = 0;
    for (let k = 0; k < samples.length; k += 8) peak = Math.max(peak, Math.abs(samples[k]));
    const height = Math.max(dense, peak * canvas.height);
    pen.fillRect(i * bar, (canvas.height - height) / 2, Math.max(1, bar - dense), height);
  });
}

function clock(seconds, point) {
  const ms = Math.round(seconds * 1000);
  const two = (n) => String(Math.floor(n)).padStart(2, "0");
  return `${two(ms / 3600000)}:${two((ms / 60000) % 60)}:${two((ms / 1000) % 60)}${point}${String(ms % 1000).padStart(3, "0")}`;
}

function cues() {
  const all = [];
  for (const word of state.words) {
    const cue = all.at(-1);
    const fits = cue && word.start - cue.end < 0.7 && word.end - cue.start < 7 && cue.text.length + word.word.length < 42;
    if (fits) Object.assign(cue, { end: word.end, text: `${cue.text} ${word.word}` });
    else all.push({ start: word.start, end: word.end, text: word.word });
  }
  return all;
}

const kinds = {
  txt: () => `${state.words.map((word) => word.word).join(" ")}\n`,
  srt: () => cues().map((c, i) => `${i + 1}\n${clock(c.start, ",")} --> ${clock(c.end, ",")}\n${c.text}\n\n`).join(""),
  vtt: () => `WEBVTT\n\n${cues().map((c) => `${clock(c.start, ".")} --> ${clock(c.end, ".")}\n${c.text}\n\n`).join("")}`,
  json: () => JSON.stringify(state.words.map(({ word, start, end, conf }) => ({ word, start, end, conf })), null, 1),
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
  // The same file can be chosen again.
  event.target.value = "";
  open(file);
};
window.onresize = draw;
$("downloads").onclick = (event) => event.target.dataset.kind && keep(event.target.dataset.kind);
$("clear").onclick = () => {
  state.words = [];
  state.sound = [];
  $("words").replaceChildren();
  $("downloads").hidden = true;
  draw();
};
$("words").onkeydown = (event) => {
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (!step) return;
  const all = [...$("words").querySelectorAll(".word")];
  const next = all[all.indexOf(document.activeElement) + step];
  if (!next) return;
  document.activeElement.tabIndex = -1;
  next.tabIndex = 0;
  next.focus();
};
// The curve has the colour of the text, which follows the system's.
matchMedia("(prefers-color-scheme: dark)").onchange = draw;
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
