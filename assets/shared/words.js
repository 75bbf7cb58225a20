// What the tabs say in the same words, and the elements they say it with. All text, never markup.

const NO_SPEECH = "no_speech";
const UNKNOWN = "unknown";

const percent = (share) => `${Math.round(100 * share)}%`;

// A time in a session: 65 s is "1:05", with hundredths where `fine`.
function clock(seconds, fine = false) {
    const hundredths = Math.round(100 * seconds);
    const [minutes, rest] = [Math.floor(hundredths / 6000), hundredths % 6000];
    const whole = `${minutes}:${String(Math.floor(rest / 100)).padStart(2, "0")}`;
    return fine ? `${whole}.${String(rest % 100).padStart(2, "0")}` : whole;
}

function likeliest(probabilities) {
    return Object.keys(probabilities).reduce((best, name) => (probabilities[name] > probabilities[best] ? name : best));
}

// A verdict in a word or two.
function headline({ label, probabilities }) {
    if (label === NO_SPEECH) return "No speech";
    if (label === UNKNOWN) return `Not sure, most likely ${likeliest(probabilities)}`;
    return label[0].toUpperCase() + label.slice(1);
}

function make(tag, text = "", attributes = {}) {
    const made = document.createElement(tag);
    made.textContent = text;
    Object.entries(attributes).forEach(([name, value]) => made.setAttribute(name, value));
    return made;
}

function swatch(color) {
    const made = make("i");
    made.style.background = color;
    return made;
}

class Bars {
    constructor(list, emotions) {
        this.rows = {};
        for (const { name, color } of emotions) {
            const row = make("li");
            const [bar, fill] = [make("span", "", { class: "bar" }), make("b")];
            fill.style.background = color;
            bar.append(fill);
            row.append(make("span", name), bar, make("span", "0%", { class: "share" }));
            list.append(row);
            this.rows[name] = row;
        }
    }

    show(probabilities) {
        for (const [name, row] of Object.entries(this.rows)) {
            const share = probabilities[name] ?? 0;
            row.querySelector("b").style.transform = `scaleX(${share})`;
            row.querySelector(".share").textContent = percent(share);
        }
    }
}

// The verdict of several segments together: as `summarise` of the server.
function summarise(segments, threshold) {
    const total = segments.reduce((sum, { start, end }) => sum + end - start, 0);
    if (!total) return { label: NO_SPEECH, confidence: 0, probabilities: {} };
    const probabilities = {};
    for (const segment of segments) {
        for (const [name, share] of Object.entries(segment.probabilities)) {
            probabilities[name] = (probabilities[name] ?? 0) + (share * (segment.end - segment.start)) / total;
        }
    }
    const best = likeliest(probabilities);
    const confidence = probabilities[best];
    return { label: confidence >= threshold ? best : UNKNOWN, confidence, probabilities };
}

// Seconds of each label, the longest first.
function speakingTime(segments) {
    const seconds = {};
    segments.forEach(({ label, start, end }) => (seconds[label] = (seconds[label] ?? 0) + end - start));
    return Object.fromEntries(Object.entries(seconds).sort((one, other) => other[1] - one[1]));
}
