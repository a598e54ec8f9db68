// Gets the files of a model, with progress, and keeps them for the next time and for when there is no network.

import { VivavoceError } from "./errors.js";

const PREFIX = "vivavoce-model ";
const LIST = "files.json";

/** The caches of this origin; none where the browser gives none (a page that is neither https nor localhost). */
async function storage(name) {
  try {
    return await globalThis.caches?.open(name);
  } catch {
    return undefined;
  }
}

async function get(url, options) {
  let response;
  try {
    response = await fetch(url, options);
  } catch (error) {
    throw new VivavoceError("ReadError", `cannot fetch ${url}: ${error.message}`);
  }
  if (!response.ok) throw new VivavoceError("ReadError", `cannot fetch ${url}: ${response.status} ${response.statusText}`.trim());
  return response;
}

/** The list of the folder's files, asked for anew each time; the last one that was seen where there is no network. */
async function list(url, lists) {
  let response;
  try {
    response = await get(url, { cache: "no-cache" });
  } catch (error) {
    response = await lists?.match(url);
    if (!response) throw error;
  }
  const text = await response.text();
  let found;
  try {
    found = JSON.parse(text);
  } catch {
    found = {};
  }
  if (!Array.isArray(found.files) || !found.version) {
    throw new VivavoceError("ModelError", `${url} is no list of a model's files; bindings/web/build.sh makes one`);
  }
  await lists?.put(url, new Response(text)).catch(() => {});
  return found;
}

async function intact(contents, file) {
  if (contents.length !== file.bytes) return false;
  // Where a page is neither https nor localhost there is nothing to compute it with.
  if (!globalThis.crypto?.subtle) return true;
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", contents));
  return file.sha256 === Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** The contents of a response, told as they come. */
async function read(response, file, url, told) {
  const contents = new Uint8Array(file.bytes);
  const reader = response.body.getReader();
  let have = 0;
  for (;;) {
    let piece;
    try {
      piece = await reader.read();
    } catch (error) {
      throw new VivavoceError("ReadError", `cannot fetch ${url}: broken off after ${have} bytes: ${error.message}`);
    }
    if (piece.done) break;
    if (have + piece.value.length > file.bytes) {
      await reader.cancel();
      throw new VivavoceError("ModelError", `${url} is longer than ${LIST} says; the folder holds files of two versions`);
    }
    contents.set(piece.value, have);
    have += piece.value.length;
    told(piece.value.length);
  }
  if (!(await intact(contents.subarray(0, have), file))) {
    throw new VivavoceError("ModelError", `${url} is not the file that ${LIST} says; it is damaged, or the folder holds two versions`);
  }
  return contents;
}

/** One file: as it was kept, or fetched and then kept. */
async function file(base, entry, version, kept, told) {
  const url = new URL(entry.name, base).href;
  // Under a versioned name, so that no cache on the way hands out the file of another version.
  const versioned = `${url}?v=${version}`;
  const found = await kept?.match(versioned);
  if (found) {
    const contents = new Uint8Array(await found.arrayBuffer());
    if (contents.length === entry.bytes) {
      told(entry.bytes, true);
      return contents;
    }
    await kept.delete(versioned);
  }
  const contents = await read(await get(versioned), entry, url, told);
  // A full disk or a private window: it works without.
  await kept?.put(versioned, new Response(contents)).catch(() => {});
  return contents;
}

/**
 * The files of the model folder at `url`, as name and contents. `onProgress` is told `{ loaded, total, cached }`: bytes, and whether
 * none of them came over the network. Other versions of the same model are forgotten.
 */
export async function fetchModel(url, onProgress = () => {}) {
  const base = new URL(url.endsWith("/") ? url : `${url}/`, globalThis.location?.href);
  const lists = await storage(`${PREFIX}lists`);
  const found = await list(new URL(LIST, base).href, lists);
  const mine = `${PREFIX}${base.href} `;
  const kept = await storage(`${mine}${found.version}`);
  const total = found.files.reduce((sum, entry) => sum + entry.bytes, 0);
  let [loaded, cached] = [0, true];
  const told = (bytes, wasKept = false) => {
    loaded += bytes;
    cached &&= wasKept;
    onProgress({ loaded, total, cached });
  };
  const files = await Promise.all(found.files.map(async (entry) => [entry.name, await file(base, entry, found.version, kept, told)]));
  if (kept) {
    for (const name of await caches.keys()) {
      if (name.startsWith(mine) && name !== `${mine}${found.version}`) await caches.delete(name);
    }
  }
  return { name: found.name, files };
}
