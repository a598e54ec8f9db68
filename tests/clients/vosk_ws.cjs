// The package `ws`, as the samples of Vosk for Node use it: node vosk_ws.cjs URL FILE prints all answers as JSON.
const fs = require("fs");
const WebSocket = require("ws");

const [url, file] = process.argv.slice(2);
const sound = fs.readFileSync(file);
const socket = new WebSocket(url);
const said = [];
let at = 0;

socket.on("open", () => socket.send(sound.subarray(0, (at = 8000))));
socket.on("message", (message, isBinary) => {
  if (isBinary) throw new Error("bytes");
  said.push(JSON.parse(message));
  if (at < sound.length) socket.send(sound.subarray(at, (at += 8000)));
  else if (at !== Infinity) {
    at = Infinity;
    socket.send('{"eof" : 1}');
  }
});
socket.on("close", (code) => {
  if (code !== 1000) throw new Error(`closed with ${code}`);
  console.log(JSON.stringify(said));
});
