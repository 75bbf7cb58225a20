// Large files of the page: fetched once with progress, compared with their SHA-256, kept by the Cache API.

const CACHE = "ser-studio-weights";

// Codes: `offline`, `missing` (the server does not have the file), `mismatch` (it is another file).
export class WeightsError extends Error {
    constructor(code, message = code) {
        super(message);
        this.code = code;
    }
}

const hex = (bytes) => Array.from(new Uint8Array(bytes), (byte) => byte.toString(16).padStart(2, "0")).join("");

// The bytes of `{path, bytes, sha256}`. `onBytes` is called with the number that has arrived; `onFull` if the
// browser has no room to keep them.
export async function load({ path, bytes, sha256 }, onBytes, onFull) {
    const address = new URL(`../${path}`, import.meta.url).href;
    const cache = await globalThis.caches?.open(CACHE).catch(() => null);
    const kept = await cache?.match(address);
    if (kept) {
        const content = await kept.arrayBuffer();
        if (await isRight(content, sha256)) {
            onBytes(bytes);
            return content;
        }
        await cache.delete(address); // damaged where it was kept
    }
    const content = await download(address, bytes, onBytes);
    if (!(await isRight(content, sha256))) throw new WeightsError("mismatch", `${path} has another SHA-256`);
    await keep(cache, address, content, onFull);
    return content;
}

async function isRight(content, sha256) {
    return hex(await crypto.subtle.digest("SHA-256", content)) === sha256;
}

async function download(address, bytes, onBytes) {
    const response = await fetch(address, { cache: "no-store" }).catch(({ message }) => {
        throw new WeightsError("offline", message);
    });
    if (!response.ok) throw new WeightsError("missing", `${address}: ${response.status}`);
    const content = new Uint8Array(bytes);
    let filled = 0;
    const reader = response.body.getReader();
    for (;;) {
        const { done, value } = await reader.read().catch(({ message }) => {
            throw new WeightsError("offline", message);
        });
        if (done) break;
        if (filled + value.length > bytes) throw new WeightsError("mismatch", `${address} is longer than ${bytes} bytes`);
        content.set(value, filled);
        filled += value.length;
        onBytes(filled);
    }
    return content.buffer;
}

async function keep(cache, address, content, onFull) {
    if (!cache) return;
    try {
        for (const request of await cache.keys()) {
            if (sameFile(request.url, address)) await cache.delete(request); // an earlier version
        }
        await cache.put(address, new Response(content, { headers: { "Content-Type": "application/octet-stream" } }));
    } catch ({ name }) {
        if (name !== "QuotaExceededError") throw new WeightsError("offline", name);
        onFull();
    }
}

// Whether two addresses are versions of one file: NAME.HASH.EXTENSION.
function sameFile(one, other) {
    const name = (address) => new URL(address).pathname.replace(/\.[0-9a-f]{12}\./, ".");
    return one !== other && name(one) === name(other);
}

// The content of gzip-compressed bytes.
export function decompress(content) {
    return new Response(new Blob([content]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
}
