// The live tab's connection to the worker, in place of the one to a server: the same methods and events as
// `Connection` in assets/live/connection.js. Times are from the start of the session.

import { FRAME_S } from "../assets/capture.js";
import { decimal, phrase } from "../assets/shared.js";

const GAP_S = 1; // sound that is missing after the page was hidden; less is the timing of messages
const RETURN_MS = 2000; // after the page is visible again, sound must come within so long to be compared

let sessions = 0;

// `hearing`: the worker's `Hearing`.
export const connectionTo = (hearing) =>
    class {
        constructor(sound, listener) {
            Object.assign(this, { sound, listener, cursor: 0, first: 0, serverSessions: 1, number: ++sessions, hidden: null });
            hearing.begin(this.number, sound.sampleRate, (event, fields) => this.receive(event, fields));
            this.watch = () => this.seen();
            document.addEventListener("visibilitychange", this.watch);
        }

        // Passes on what has not been passed on.
        pump() {
            const length = Math.round(FRAME_S * this.sound.sampleRate);
            while (this.cursor < this.sound.end) {
                const samples = this.sound.slice(this.cursor, Math.min(this.cursor + length, this.sound.end));
                this.cursor += samples.length; // before they are passed on, which leaves none here
                hearing.hear(samples);
            }
            if (this.hidden?.until !== undefined) this.compare();
        }

        // Ends the session; done() follows.
        stop() {
            this.pump();
            hearing.finish();
        }

        receive(event, fields) {
            if (event === "level") this.listener.level(fields);
            if (event === "segment") {
                const { id, waited, ...segment } = fields;
                this.listener.segment({ ...segment, key: String(id) });
            }
            if (event === "failed") this.listener.failed(phrase("web.failed", { reason: fields.message }));
            if (event === "failed" || event === "done") {
                document.removeEventListener("visibilitychange", this.watch);
                this.received = fields.samples_received;
                this.listener.done(fields.analysis ?? null);
            }
        }

        // A hidden page goes on listening; whether the browser let it is seen by the sound that has come.
        seen() {
            if (document.hidden) this.hidden = { at: performance.now(), sound: this.sound.seconds };
            else if (this.hidden) this.hidden.until = performance.now();
        }

        compare() {
            const { at, until, sound } = this.hidden;
            const now = performance.now();
            const missing = (now - at) / 1000 - (this.sound.seconds - sound);
            const paused = now - until > RETURN_MS;
            this.hidden = null;
            if (paused) return;
            this.listener.notice(missing > GAP_S ? phrase("web.hidden_lost", { seconds: decimal(missing, 1) }) : phrase("web.hidden"));
        }
    };
