// What the browser must have, and the isolation that threads need.

// (module (func (result v128) i32.const 0 i8x16.splat)), the shortest module with a SIMD instruction
const SIMD = [0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 8, 1, 6, 0, 65, 0, 253, 15, 11];
const MAX_THREADS = 4; // more gain nothing with clips of a few seconds
const MIN_MEMORY_GB = 1; // as the browser reports it
const CLAIM_MS = 4000; // the longest wait for the service worker at the first visit

// The key of the phrase that says why the page cannot work here, or null.
export function obstacle() {
    if (typeof WebAssembly !== "object" || !WebAssembly.validate(Uint8Array.from(SIMD))) return "web.no_simd";
    if (navigator.deviceMemory < MIN_MEMORY_GB) return "web.no_memory";
    if (!window.isSecureContext) return "web.not_secure";
    return null;
}

export const threads = () => (window.crossOriginIsolated ? Math.min(navigator.hardwareConcurrency || 1, MAX_THREADS) : 1);

// Installs the service worker, which lets the page work offline and isolates it from other origins. The first visit
// is loaded anew under its control, before anything large was fetched; true if that is about to happen.
export async function settle() {
    if (!navigator.serviceWorker) return false;
    const service = navigator.serviceWorker;
    const controlled = new Promise((resolve) => {
        service.addEventListener("controllerchange", () => resolve(true), { once: true });
        setTimeout(() => resolve(false), CLAIM_MS);
    });
    try {
        await service.register(new URL("../service_worker.js", import.meta.url));
    } catch {
        return false; // private windows of some browsers; the page works online
    }
    if (!service.controller && !(await controlled)) return false;
    if (new URLSearchParams(location.search).has("embedded")) return false; // as isolated as the page that holds it
    if (window.crossOriginIsolated || sessionStorage.getItem("isolated")) return false;
    sessionStorage.setItem("isolated", "tried");
    location.reload();
    return true;
}
