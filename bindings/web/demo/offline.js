// Keeps the page for when there is no network. The model is kept by vivavoce/model.js, with progress.

const KEPT = "vivavoce-page";
const FILES = [
  "./", "index.html", "page.css", "demo.css", "demo.js",
  ...["index.js", "worker.js", "worklet.js", "calls.js", "model.js", "errors.js"].map((name) => `vivavoce/${name}`),
  "vivavoce/pkg/vivavoce.js", "vivavoce/pkg/vivavoce_bg.wasm",
];

oninstall = (event) => {
  const fresh = FILES.map((file) => new Request(file, { cache: "no-cache" }));
  event.waitUntil(caches.open(KEPT).then((kept) => kept.addAll(fresh)).then(() => skipWaiting()));
};

onactivate = (event) => event.waitUntil(clients.claim());

/** From the network, so that a new version shows at once; as it was kept where there is none. */
async function answer(request) {
  const kept = await caches.open(KEPT);
  try {
    const response = await fetch(request);
    if (response.ok) await kept.put(request, response.clone());
    return response;
  } catch (error) {
    const found = await kept.match(request, { ignoreSearch: true });
    if (found) return found;
    throw error;
  }
}

onfetch = (event) => {
  const url = new URL(event.request.url);
  const ours = FILES.some((file) => new URL(file, registration.scope).pathname === url.pathname);
  if (event.request.method === "GET" && ours) event.respondWith(answer(event.request));
};
