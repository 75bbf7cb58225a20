// The microphone, and the sound of a session kept in this page's memory.

const FRAME_S = 0.1; // sound in each frame
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
// What a person can do about a browser that withholds the microphone.
function refusal({ name, message }) {
    return known(`live.refused.${name}`, null) ?? phrase("live.refused", { reason: message || name });
}

// Frames of float samples from a microphone, at the browser's own rate: Firefox refuses any other.
class Microphone {
    constructor(onFrame, onGone) {
        Object.assign(this, { onFrame, onGone });
    }

    // Asks for the device (empty: the browser's choice) and begins; returns the sampling rate in Hz.
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
        this.source.connect(this.node).connect(this.context.destination); // silent, but so every browser runs it
        await this.context.resume();
        return this.context.sampleRate;
    }

    // Takes the sound of another device from now on.
    async choose(deviceId) {
        const audio = deviceId ? { ...RAW, deviceId: { exact: deviceId } } : RAW;
        const stream = await navigator.mediaDevices.getUserMedia({ audio });
        this.release();
        this.stream = stream;
        stream.getTracks().forEach((track) => track.addEventListener("ended", this.onGone));
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

    // Ends capture; every sample heard so far has been given to onFrame when this is done.
    async close() {
        if (this.context.state === "closed") return;
        if (this.node) {
            await this.context.resume(); // a suspended worklet does not answer
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

// 16-bit samples of a session, counted from its start; beyond `limitS` seconds the oldest are dropped.
class KeptSound {
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

    // The kept samples from one count up to another.
    slice(from, to) {
        const found = [];
        let at = this.end;
        for (let i = this.pieces.length - 1; i >= 0 && at > from; i--) {
            const piece = this.pieces[i];
            at -= piece.length;
            if (at < to) found.unshift(piece.subarray(Math.max(0, from - at), to - at));
        }
        const joined = new Int16Array(found.reduce((total, piece) => total + piece.length, 0));
        let filled = 0;
        for (const piece of found) {
            joined.set(piece, filled);
            filled += piece.length;
        }
        return joined;
    }

    // A WAV file of what is kept between two times in seconds.
    wav(fromS = 0, toS = this.seconds) {
        const samples = this.slice(Math.round(fromS * this.sampleRate), Math.round(toS * this.sampleRate));
        const header = new DataView(new ArrayBuffer(44));
        const text = (at, word) => [...word].forEach((c, i) => header.setUint8(at + i, c.charCodeAt(0)));
        text(0, "RIFF");
        header.setUint32(4, 36 + samples.byteLength, true);
        text(8, "WAVEfmt ");
        header.setUint32(16, 16, true); // length of the format
        header.setUint16(20, 1, true); // PCM
        header.setUint16(22, 1, true); // channels
        header.setUint32(24, this.sampleRate, true);
        header.setUint32(28, 2 * this.sampleRate, true);
        header.setUint16(32, 2, true); // bytes of a sample
        header.setUint16(34, 16, true); // bits
        text(36, "data");
        header.setUint32(40, samples.byteLength, true);
        return new Blob([header, samples], { type: "audio/wav" });
    }
}
