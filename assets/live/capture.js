// The microphone, and the buffer that keeps a session's audio in memory.

const FRAME_S = 0.1; // duration of a frame
const RAW = { channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: false };
const WORKLET = `registerProcessor("frames", class extends AudioWorkletProcessor {
    constructor(options) {
        super();
        this.length = options.processorOptions.length;
        this.begin();
        this.port.onmessage = () => { // the last frame may be short
            this.port.postMessage(this.frame.subarray(0, this.filled));
            this.port.postMessage(null);
            this.begin();
        };
    }
    begin() { this.frame = new Float32Array(this.length); this.filled = 0; }
    process([input]) {
        let rest = input.length ? input[0] : [];
        while (rest.length) {
            const piece = rest.subarray(0, this.length - this.filled);
            this.frame.set(piece, this.filled);
            this.filled += piece.length;
            rest = rest.subarray(piece.length);
            if (this.filled === this.length) {
                this.port.postMessage(this.frame, [this.frame.buffer]);
                this.begin();
            }
        }
        return true;
    }
});`;
// The message for an error of the microphone: what to do about it.
function refusal({ name, message }) {
    return known(`live.refused.${name}`, null) ?? phrase("live.refused", { reason: message || name });
}

// Frames of float samples from a microphone, at the browser's own sampling rate: Firefox refuses any other.
class Microphone {
    constructor(onFrame, onEnded) {
        Object.assign(this, { onFrame, onEnded });
    }

    // Opens a device (empty: the browser's default) and starts; returns the sampling rate in Hz.
    async open(deviceId) {
        if (!window.isSecureContext || !navigator.mediaDevices) throw { name: "InsecureContext" };
        this.context = new AudioContext();
        try {
            await this.choose(deviceId);
            const address = URL.createObjectURL(new Blob([WORKLET], { type: "text/javascript" }));
            await this.context.audioWorklet.addModule(address);
            URL.revokeObjectURL(address);
        } catch (error) {
            await this.close();
            throw error;
        }
        this.node = new AudioWorkletNode(this.context, "frames", {
            channelCount: 1,
            channelCountMode: "explicit", // several channels are mixed
            processorOptions: { length: Math.round(FRAME_S * this.context.sampleRate) },
        });
        this.node.port.onmessage = ({ data }) => (data ? data.length && this.onFrame(data) : this.flushed());
        this.source.connect(this.node).connect(this.context.destination); // silent; some browsers only run connected nodes
        await this.context.resume();
        return this.context.sampleRate;
    }

    // Switches to another device.
    async choose(deviceId) {
        const audio = deviceId ? { ...RAW, deviceId: { exact: deviceId } } : RAW;
        const stream = await navigator.mediaDevices.getUserMedia({ audio });
        this.release();
        this.stream = stream;
        stream.getTracks().forEach((track) => track.addEventListener("ended", this.onEnded));
        this.source = this.context.createMediaStreamSource(stream);
        if (this.node) this.source.connect(this.node);
    }

    release() {
        this.source?.disconnect();
        this.stream?.getTracks().forEach((track) => track.stop()); // by us: no "ended" event
    }

    pause() {
        return this.context.suspend();
    }

    resume() {
        return this.context.resume();
    }

    // Stops. When this resolves, onFrame has received every sample.
    async close() {
        if (this.context.state === "closed") return;
        if (this.node) {
            await this.context.resume(); // a suspended worklet does not respond
            await new Promise((resolve) => {
                this.flushed = resolve;
                this.node.port.postMessage("flush");
            });
        }
        this.release();
        await this.context.close();
    }

    static async list() {
        const devices = (await navigator.mediaDevices?.enumerateDevices()) ?? [];
        return devices.filter(({ kind, deviceId }) => kind === "audioinput" && deviceId);
    }
}

// The 16-bit samples of a session, by their index from its start. Beyond `limitS` seconds the oldest are dropped.
class SoundBuffer {
    constructor(sampleRate, limitS) {
        Object.assign(this, { sampleRate, limit: limitS * sampleRate, pieces: [], start: 0, end: 0 });
    }

    get seconds() {
        return this.end / this.sampleRate;
    }

    push(samples) {
        this.pieces.push(Int16Array.from(samples, (x) => Math.max(-32768, Math.min(32767, Math.round(32768 * x)))));
        this.end += samples.length;
        while (this.end - this.start > this.limit) this.start += this.pieces.shift().length;
    }

    // The samples from one index up to another, as far as they are kept.
    slice(from, to) {
        const slices = [];
        let at = this.end;
        for (let i = this.pieces.length - 1; i >= 0 && at > from; i--) {
            const piece = this.pieces[i];
            at -= piece.length;
            if (at < to) slices.unshift(piece.subarray(Math.max(0, from - at), to - at));
        }
        const joined = new Int16Array(slices.reduce((total, piece) => total + piece.length, 0));
        let filled = 0;
        for (const piece of slices) {
            joined.set(piece, filled);
            filled += piece.length;
        }
        return joined;
    }

    // A WAV file of the samples between two times in seconds.
    wav(fromS = 0, toS = this.seconds) {
        const samples = this.slice(Math.round(fromS * this.sampleRate), Math.round(toS * this.sampleRate));
        const header = new DataView(new ArrayBuffer(44));
        const text = (at, word) => [...word].forEach((c, i) => header.setUint8(at + i, c.charCodeAt(0)));
        text(0, "RIFF");
        header.setUint32(4, 36 + samples.byteLength, true);
        text(8, "WAVEfmt ");
        header.setUint32(16, 16, true); // size of the format chunk
        header.setUint16(20, 1, true); // PCM
        header.setUint16(22, 1, true); // channels
        header.setUint32(24, this.sampleRate, true);
        header.setUint32(28, 2 * this.sampleRate, true);
        header.setUint16(32, 2, true); // bytes per sample
        header.setUint16(34, 16, true); // bits per sample
        text(36, "data");
        header.setUint32(40, samples.byteLength, true);
        return new Blob([header, samples], { type: "audio/wav" });
    }
}
