// The Worker: computes, so that the page never waits. Frames of a microphone come straight from its worklet.

import { Calls } from "./calls.js";
import { flattened } from "./errors.js";
import { fetchModel } from "./model.js";
import init, * as module from "./pkg/vivavoce.js";

const started = init({ module_or_path: new URL("./pkg/vivavoce_bg.wasm", import.meta.url) });
const calls = new Calls(module, fetchModel);

function loudest(samples) {
  let peak = 0;
  for (const sample of samples) peak = Math.max(peak, Math.abs(sample));
  return peak;
}

/** Joins a session with the worklet at the other end of `port`: samples come, the number of those heard goes back. */
function join({ session }, [port]) {
  port.onmessage = ({ data: { samples, lost, sent, over } }) => {
    const tell = (events, over) => postMessage({ session, events, over });
    try {
      if (lost) tell([{ event: "overrun", lost }]);
      const heard = calls.accept({ session, samples });
      const status = { event: "status", time: heard.time, lag: (Date.now() - sent) / 1000, peak: loudest(samples), voice: heard.hearsVoice };
      tell([...heard.events, status]);
      if (over) {
        port.close();
        tell(calls.finish({ session }).events, true);
        calls.close({ session });
      } else {
        port.postMessage(samples.length);
      }
    } catch (error) {
      port.close();
      calls.close({ session });
      postMessage({ session, error: flattened(error), over: true });
    }
  };
}

onmessage = async ({ data: { number, call, args }, ports }) => {
  const told = (progress) => postMessage({ number, progress });
  try {
    await started;
    const value = call === "join" ? join(args, ports) : await calls[call]({ number, ...args }, told);
    postMessage({ number, value });
  } catch (error) {
    postMessage({ number, error: flattened(error) });
  }
};
