// The worker from the page's side: opens a model, analyses files, listens.

import { settings } from "../settings.js";
import { decompress, load } from "./weights.js";
import { threads } from "./support.js";

export class Hearing {
    // `onLost(message)`: the worker has ended, mostly for want of memory.
    constructor(onLost) {
        this.number = 0; // of the last file
        this.worker = new Worker(new URL("../hearing/worker.js", import.meta.url), { type: "module" });
        this.worker.onmessage = ({ data }) => this.receive(data);
        this.worker.onerror = ({ message }) => onLost(message ?? "");
        this.onLost = onLost;
    }

    // Fetches the model `name` and opens it; resolves with what the worker says of it. Raises WeightsError, and
    // Error if the model cannot be opened. `onProgress` is called with the share that has arrived.
    async open(name, onProgress, onFull) {
        const { runtime, models } = settings;
        const files = [runtime, models[name]];
        const total = files.reduce((sum, { bytes }) => sum + bytes, 0);
        const arrived = files.map(() => 0);
        const onBytes = (i) => (count) => {
            arrived[i] = count;
            onProgress(arrived.reduce((sum, n) => sum + n, 0) / total, total);
        };
        const [packed, bytes] = await Promise.all(files.map((file, i) => load(file, onBytes(i), onFull)));
        const wasm = await decompress(packed);
        return new Promise((resolve, reject) => {
            this.opening = { resolve, reject };
            const description = { name, ...models[name] };
            this.worker.postMessage({ type: "open", wasm, bytes, description, threads: threads(), settings }, [wasm, bytes]);
        });
    }

    // Analyses a file; `listener` has progress(seconds), analysis(message) and failed(code, message). Only the last
    // file is heard of.
    analyse(file, listener) {
        this.listener = listener;
        this.worker.postMessage({ type: "file", number: ++this.number, file });
    }

    cancel() {
        this.number++;
        this.worker.postMessage({ type: "cancel" });
    }

    begin(session, rate, onEvent) {
        this.session = { number: session, onEvent };
        this.worker.postMessage({ type: "begin", session, rate });
    }

    // Int16 samples of the live session, with the time at which they are sent: the worker sees when it falls behind.
    hear(samples) {
        const sent = performance.timeOrigin + performance.now();
        this.worker.postMessage({ type: "frames", samples, sent }, [samples.buffer]);
    }

    finish() {
        this.worker.postMessage({ type: "end" });
    }

    receive(message) {
        const { type, number } = message;
        if (type === "opened") this.opening.resolve(message);
        if (type === "live" && message.session === this.session?.number) this.session.onEvent(message.event, message);
        if (type === "decode") this.decode(message);
        if (type === "failed" && message.task === "open") this.opening.reject(new Error(message.message));
        else if (type === "failed" && message.task !== "file") this.onLost(message.message);
        if (number !== this.number) return;
        if (type === "progress") this.listener.progress(message.seconds);
        if (type === "analysis") this.listener.analysis(message);
        if (type === "failed") this.listener.failed(message.code, message.message);
    }

    // Workers have no `decodeAudioData`: the page decodes what WebCodecs cannot.
    async decode({ number, file }) {
        let decoded = null;
        const transfer = [];
        try {
            const context = new OfflineAudioContext(1, 1, 48_000);
            const sound = await context.decodeAudioData(await file.arrayBuffer());
            const channels = Array.from({ length: sound.numberOfChannels }, (_, i) => sound.getChannelData(i).slice());
            decoded = { rate: sound.sampleRate, channels };
            transfer.push(...channels.map(({ buffer }) => buffer));
        } catch {
            // nothing of it can be read: the worker says so
        }
        this.worker.postMessage({ type: "decoded", number, decoded }, transfer);
    }
}
