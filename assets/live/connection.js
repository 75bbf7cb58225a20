// The connection to the server: sends the buffered audio, and resumes after the connection was broken.

const RETRY_S = [0.3, 1, 2, 4, 8]; // waits before each attempt to reconnect; the last one repeats
const RESEND_S = 30; // at most so much audio is sent again, so that the server catches up soon
const BUFFER_BYTES = 1 << 20; // if more than this is unsent, the network is slow and the rest waits in memory
const KEEP_ALIVE_MS = 5000; // the server closes an idle connection
const DONE_TIMEOUT_MS = 20000; // the longest wait for `done`
const UNREACHED_TIMEOUT_MS = 3000; // the same if no server was ever reached
const RETRYABLE = ["closed", "idle"]; // codes of fatal errors after which a new connection may work

// The address of `/live`, also behind a proxy that serves the app below a path.
function liveAddress() {
    const root = new URL(window.gradio_config?.root ?? location.href, location.href);
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    return `${scheme}//${location.host}${root.pathname.replace(/\/$/, "")}/live`;
}

// `listener` has segment(segment), level(level), notice(words), disconnected(words), failed(words) and
// done(analysis or null). Times are from the start of the session, across all connections.
// `serverSessions`: sessions the server has begun; `finalEnd`: end of the last final segment, `acknowledged`:
// samples that the server has received, `lost`: seconds of audio that no server received.
class Connection {
    constructor(sound, listener) {
        Object.assign(this, { sound, listener, attempts: 0, serverSessions: 0, finalEnd: 0, acknowledged: 0, lost: 0 });
        this.open();
        this.timer = setInterval(() => this.keepAlive(), KEEP_ALIVE_MS);
    }

    get isOpen() {
        return this.socket.readyState === WebSocket.OPEN;
    }

    // Opens a new session of the server, which gets all audio after the last final segment again.
    open() {
        const { sound } = this;
        this.first = Math.max(this.finalEnd, sound.start, sound.end - RESEND_S * sound.sampleRate);
        Object.assign(this, { cursor: this.first, sequence: 0 });
        this.socket = new WebSocket(liveAddress());
        this.socket.binaryType = "arraybuffer";
        this.socket.onopen = () => {
            this.socket.send(JSON.stringify({ type: "start", sample_rate: sound.sampleRate, voices: "auto" }));
            this.pump();
        };
        this.socket.onmessage = ({ data }) => this.receive(JSON.parse(data));
        this.socket.onclose = () => this.onClose();
    }

    // Sends what has not been sent.
    pump() {
        if (!this.isOpen) return;
        const length = Math.round(FRAME_S * this.sound.sampleRate);
        while (this.cursor < this.sound.end && this.socket.bufferedAmount < BUFFER_BYTES) {
            if (this.cursor < this.sound.start) return this.socket.close(); // dropped from the buffer before it was sent
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
        new Int16Array(frame, 4).set(samples); // all platforms of browsers are little-endian
        this.socket.send(frame);
    }

    // An empty frame keeps a paused or stalled session alive.
    keepAlive() {
        this.pump();
        if (this.isOpen && !this.stopping) this.send(new Int16Array(0));
    }

    // Ends the session; done() follows.
    stop() {
        this.stopping = true;
        this.deadline = setTimeout(() => this.end(null), this.serverSessions ? DONE_TIMEOUT_MS : UNREACHED_TIMEOUT_MS);
        this.pump();
    }

    receive(message) {
        const offset = this.first / this.sound.sampleRate;
        if (message.type === "ready") this.onReady();
        if (message.type === "level") {
            this.acknowledged = Math.max(this.acknowledged, this.first + message.samples_received);
            this.listener.level({ ...message, time: message.time + offset });
        }
        if (message.type === "segment") {
            const { type, final, id, ...fields } = message;
            const segment = { ...fields, start: fields.start + offset, end: fields.end + offset };
            if (final) this.finalEnd = Math.round(segment.end * this.sound.sampleRate);
            this.listener.segment({ ...segment, final, key: `${this.serverSessions}:${id}` });
        }
        if (message.type === "error") this.onError(message);
        if (message.type === "done") {
            this.received = message.samples_received;
            this.end(this.first === 0 ? message.analysis : null); // null if it covers only the last connection
        }
    }

    onReady() {
        this.attempts = 0;
        if (!this.serverSessions++) return;
        const lost = Math.max(0, this.first - this.acknowledged) / this.sound.sampleRate;
        this.lost += lost;
        this.listener.notice(
            lost < 0.05 ? phrase("live.again") : phrase("live.again_lost", { seconds: decimal(lost, 1) })
        );
    }

    onError({ code, message, fatal }) {
        const words = known(`library.live.${code}`, message);
        if (!fatal) return this.listener.notice(words);
        if (RETRYABLE.includes(code)) return; // the close event that follows reconnects
        this.listener.failed(words);
        this.end(null);
    }

    onClose() {
        if (this.ended) return;
        this.stopped = false;
        const wait = RETRY_S[Math.min(this.attempts++, RETRY_S.length - 1)];
        this.listener.disconnected(phrase("live.broken"));
        this.retry = setTimeout(() => this.open(), 1000 * wait);
    }

    // Closes the connection. `analysis`: the server's, of the whole session, or null.
    end(analysis) {
        if (this.ended) return;
        this.ended = true;
        [this.retry, this.deadline].forEach(clearTimeout);
        clearInterval(this.timer);
        this.socket.close();
        this.listener.done(analysis);
    }
}
