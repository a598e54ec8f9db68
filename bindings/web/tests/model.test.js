// A model's files are fetched with progress; what is missing or damaged is told.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { createServer } from "node:http";
import test, { after, before } from "node:test";

import { fetchModel } from "../model.js";

const contents = { "config.json": Buffer.from("{}"), "lm.bin": Buffer.alloc(300_000, 7) };
const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");
const list = (changes = {}) => ({
  name: "tiny",
  version: "1",
  files: Object.entries(contents).map(([name, bytes]) => ({ name, bytes: bytes.length, sha256: sha256(bytes), ...changes[name] })),
});

const folders = {
  good: list(),
  shorter: list({ "lm.bin": { bytes: 200_000 } }),
  longer: list({ "lm.bin": { bytes: 400_000 } }),
  damaged: list({ "lm.bin": { sha256: sha256("other") } }),
  missing: { ...list(), files: [...list().files, { name: "g2p.bin", bytes: 1, sha256: "" }] },
  odd: { files: "none" },
};
const asked = [];
let server;
let base;

before(async () => {
  server = createServer(({ url }, response) => {
    asked.push(url);
    const [, folder, file] = new URL(url, "http://x").pathname.split("/");
    if (file === "files.json" && folders[folder]) return response.end(JSON.stringify(folders[folder]));
    if (contents[file]) return response.end(contents[file]);
    response.writeHead(404).end();
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  base = `http://127.0.0.1:${server.address().port}`;
});
after(() => server.close());

test("files come with progress, under a versioned address", async () => {
  const told = [];
  const model = await fetchModel(`${base}/good`, (progress) => told.push(progress));
  assert.equal(model.name, "tiny");
  assert.deepEqual(model.files.map(([name, bytes]) => [name, Buffer.from(bytes)]), Object.entries(contents));
  const total = 300_002;
  assert.ok(told.length >= 2 && told.every((progress) => progress.total === total && progress.cached === false));
  assert.equal(told.at(-1).loaded, total);
  assert.ok(asked.includes("/good/lm.bin?v=1"));
});

for (const [folder, kind, pattern] of [
  ["shorter", "ModelError", /lm\.bin is longer/],
  ["longer", "ModelError", /lm\.bin is not the file/],
  ["damaged", "ModelError", /lm\.bin is not the file/],
  ["missing", "ReadError", /g2p\.bin.*404/],
  ["odd", "ModelError", /files\.json is no list/],
  ["nowhere", "ReadError", /files\.json.*404/],
]) {
  test(`a folder that is ${folder} is refused`, async () => {
    await assert.rejects(fetchModel(`${base}/${folder}/`), (error) => error.name === kind && pattern.test(error.message));
  });
}

test("where there is no server that is said", async () => {
  await assert.rejects(fetchModel("http://127.0.0.1:9/"), (error) => error.name === "ReadError" && /cannot fetch/.test(error.message));
});
