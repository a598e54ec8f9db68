// Hands the samples of the first channel to the page, about 100 ms at a time.
class Tap extends AudioWorkletProcessor {
  constructor() {
    super();
    this.samples = new Float32Array(Math.round(sampleRate / 10));
    this.have = 0;
  }

  process(inputs) {
    const channel = inputs[0][0];
    if (!channel) return true;
    for (const sample of channel) {
      this.samples[this.have++] = sample;
      if (this.have === this.samples.length) {
        this.port.postMessage(this.samples.slice());
        this.have = 0;
      }
    }
    return true;
  }
}

registerProcessor("tap", Tap);
