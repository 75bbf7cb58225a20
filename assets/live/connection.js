// The way to the server: sends the kept sound as it grows, and picks up where a broken connection left off.

const RETRY_S = [0.3, 1, 2, 4, 8]; // waits before each attempt to reconnect; the last one repeats
const RESEND_S = 30; // at most so much sound is sent again, so that the server catches up soon
const BUFFER_BYTES = 1 << 20; // more than this on its way: the network is slow, the rest waits in memory
const KEEP_ALIVE_MS = 5000; // the server ends a connection that says nothing for long
const DONE_MS = 20000; // a last answer that takes longer will not come
const REACH_MS = 3000; // the same where no server has ever answered
const PASSING = ["closed", "idle"]; // errors after which a new connection may work

// Where the app answers live sound, also behind a proxy that serves it below a path.
function liveAddress() {
    const root = new URL(window.gradio_config?.root ?? location.href, location.href);
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    return `${scheme}//${location.host}${root.pathname.replace(/\/$/, "")}/live`;
}

// `listener` has segment(segment), level(level), notice(words), trouble(words), failed(words) and
// done(analysis or null). Times are the session's, whichever connection they came by.
class Connection {
    constructor(sound, listener) {
        Object.assign(this, { sound, listener, attempts: 0, parts: 0, settled: 0, heard: 0, lost: 0 });
        this.open();
        this.timer = setInterval(() => this.keepAlive(), KEEP_ALIVE_MS);
    }

    get isOpen() {
        return this.socket.readyState === WebSocket.OPEN;
    }

    // A new session of the server: it hears everything after the last settled segment once more.
    open() {
        const { sound } = this;
        this.first = Math.max(this.settled, sound.start, sound.end - RESEND_S * sound.sampleRate);
        Object.assign(this, { cursor: this.first, sequence: 0 });
        this.socket = new WebSocket(liveAddress());
        this.socket.binaryType = "arraybuffer";
        this.socket.onopen = () => {
            this.socket.send(JSON.stringify({ type: "start", sample_rate: sound.sampleRate }));
            this.pump();
        };
        this.socket.onmessage = ({ data }) => this.receive(JSON.parse(data));
        this.socket.onclose = () => this.broken();
    }

    // Sends what has not been sent.
    pump() {
        if (!this.isOpen) return;
        const length = Math.round(FRAME_S * this.sound.sampleRate);
        while (this.cursor < this.sound.end && this.socket.bufferedAmount < BUFFER_BYTES) {
            if (this.cursor < this.sound.start) return this.socket.close(); // forgotten before it was sent
            const samples = this.sound.slice(this.cursor, Math.min(this.cursor + length, this.sound.end));
            this.send(samples);
            this.cursor += samples.length;
        }
        if (this.stopping && this.cursor === this.sound.end && !this.stopped) {
            this.stopped = true;
            this.socket.send(JSON.stringify({ type: "stop" }));
        }
    }

    send(samples) {
        const frame = new ArrayBuffer(4 + samples.byteLength);
        new DataView(frame).setUint32(0, this.sequence++, true);
        new Int16Array(frame, 4).set(samples); // every browser's computer is little-endian
        this.socket.send(frame);
    }

    // An empty frame tells the server that a paused or stalled session lives.
    keepAlive() {
        this.pump();
        if (this.isOpen && !this.stopping) this.send(new Int16Array(0));
    }

    // No more sound comes; done() follows.
    stop() {
        this.stopping = true;
        this.deadline = setTimeout(() => this.end(null), this.parts ? DONE_MS : REACH_MS);
        this.pump();
    }

    receive(message) {
        const offset = this.first / this.sound.sampleRate;
        if (message.type === "ready") this.welcome();
        if (message.type === "level") {
            this.heard = Math.max(this.heard, this.first + message.samples_received);
            this.listener.level({ ...message, time: message.time + offset });
        }
        if (message.type === "segment") {
            const { type, final, id, ...found } = message;
            const segment = { ...found, start: found.start + offset, end: found.end + offset };
            if (final) this.settled = Math.round(segment.end * this.sound.sampleRate);
            this.listener.segment({ ...segment, final, key: `${this.parts}:${id}` });
        }
        if (message.type === "error") this.complain(message);
        if (message.type === "done") {
            this.received = message.samples_received;
            this.end(this.first === 0 ? message.analysis : null); // of all the session, or of its last part
        }
    }

    welcome() {
        this.attempts = 0;
        if (!this.parts++) return;
        const missed = Math.max(0, this.first - this.heard) / this.sound.sampleRate;
        this.lost += missed;
        this.listener.notice(
            missed < 0.05 ? phrase("live.again") : phrase("live.again_lost", { seconds: decimal(missed, 1) })
        );
    }

    complain({ code, message, fatal }) {
        const words = known(`library.live.${code}`, message);
        if (!fatal) return this.listener.notice(words);
        if (PASSING.includes(code)) return; // the closing that follows leads to a new connection
        this.listener.failed(words);
        this.end(null);
    }

    broken() {
        if (this.ended) return;
        this.stopped = false;
        const wait = RETRY_S[Math.min(this.attempts++, RETRY_S.length - 1)];
        this.listener.trouble(phrase("live.broken"));
        this.retry = setTimeout(() => this.open(), 1000 * wait);
    }

    // Nothing more is sent or told; `analysis` is the server's of the whole session, where there is one.
    end(analysis) {
        if (this.ended) return;
        this.ended = true;
        [this.retry, this.deadline].forEach(clearTimeout);
        clearInterval(this.timer);
        this.socket.close();
        this.listener.done(analysis);
    }
}
