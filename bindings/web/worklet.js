// Hands the samples of a microphone to the Worker, 100 ms at a time, and never waits: what the Worker cannot hear in time is dropped and told.

const PIECES_A_SECOND = 10;
/** Seconds that may be on their way. */
const MOST_S = 9;

class Tap extends AudioWorkletProcessor {
  constructor() {
    super();
    this.samples = new Float32Array(Math.round(sampleRate / PIECES_A_SECOND));
    this.have = 0;
    this.away = 0;
    this.lost = 0;
    this.over = false;
    this.port.onmessage = ({ data, ports: [worker] }) => {
      if (data === "stop") return this.stop();
      this.worker = worker;
      this.page = data.page;
      worker.onmessage = ({ data: heard }) => { this.away -= heard; };
    };
  }

  send(over = false) {
    const samples = this.samples.slice(0, this.have);
    this.have = 0;
    if (this.away > MOST_S * sampleRate && !over) {
      this.lost += samples.length / sampleRate;
      return;
    }
    this.away += samples.length;
    this.worker.postMessage({ samples, lost: this.lost, sent: Date.now(), over });
    this.lost = 0;
    if (this.page) this.port.postMessage(samples);
  }

  stop() {
    if (this.worker && !this.over) this.send(true);
    this.over = true;
    this.port.postMessage("over");
  }

  process([[channel]]) {
    if (this.over) return false;
    if (!channel || !this.worker) return true;
    for (const sample of channel) {
      this.samples[this.have++] = sample;
      if (this.have === this.samples.length) this.send();
    }
    return true;
  }
}

registerProcessor("vivavoce", Tap);
