// Keeps the page's own files, so that it works offline, and isolates the page from other origins, which browsers
// ask for before they give threads to WebAssembly. The build writes FILES and VERSION. Weights are kept by the page.

const ISOLATED = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
};
const CACHE = `ser-studio-page-${VERSION}`;
const PREFIX = "ser-studio-page-";

self.addEventListener("install", (event) => {
    self.skipWaiting();
    event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(FILES.map((path) => new Request(path, { cache: "no-cache" })))));
});

self.addEventListener("activate", (event) => event.waitUntil(takeOver()));

async function takeOver() {
    for (const name of await caches.keys()) {
        if (name.startsWith(PREFIX) && name !== CACHE) await caches.delete(name);
    }
    await self.clients.claim();
}

self.addEventListener("fetch", (event) => {
    const { request } = event;
    const ours = new URL(request.url).origin === location.origin && request.method === "GET";
    if (ours && !request.headers.has("range")) event.respondWith(answer(request));
});

async function answer(request) {
    const kept = await caches.match(request, { cacheName: CACHE, ignoreSearch: true });
    const response = kept ?? (await fetch(request));
    if (response.status === 0) return response;
    const headers = new Headers(response.headers);
    for (const [name, value] of Object.entries(ISOLATED)) headers.set(name, value);
    return new Response(response.body, { status: response.status, statusText: response.statusText, headers });
}
