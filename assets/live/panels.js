// What is read: the emotion now, its probabilities, the history, and the summary. All text, never markup.

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

// A session's verdict: where its segments differ and no emotion prevails, all of them.
function answer(found, segments) {
    const named = Object.keys(speakingTime(segments)).filter((label) => label !== UNKNOWN);
    if (found.label === UNKNOWN && named.length > 1) return `Several emotions — ${named.join(", ")}`;
    if (found.label === NO_SPEECH) return headline(found);
    return `${headline(found)} — ${percent(found.confidence)}`;
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

// The emotion in large letters.
function showNow(box, found, color, state) {
    box.style.setProperty("--emotion", color);
    box.querySelector("h2").textContent = headline(found);
    box.querySelector(".sure").textContent = found.label === NO_SPEECH ? "" : percent(found.confidence);
    box.querySelector(".state").textContent = state;
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

// One row for each settled segment, the newest on top.
function addRow(body, number, segment, color, play) {
    const { start, end, label, confidence, probabilities } = segment;
    const name = label === UNKNOWN ? `unknown (${likeliest(probabilities)}?)` : label;
    const row = make("tr");
    const emotion = make("span", "", { class: "emotion" });
    emotion.append(swatch(color), name);
    const button = make("button", "Play", { type: "button", "aria-label": `Play segment ${number}, ${name}` });
    button.addEventListener("click", () => play(button, segment));
    const cells = [number, clock(start, true), clock(end, true), emotion, percent(confidence), button];
    cells.forEach((content) => {
        const cell = make("td");
        cell.append(content);
        row.append(cell);
    });
    body.prepend(row);
}

// The verdict of a session whose connection broke, from its segments: as `summarise` of the server.
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

// How the speaking time divides among the labels, in words.
function mixture(segments) {
    const seconds = speakingTime(segments);
    const total = Object.values(seconds).reduce((sum, s) => sum + s, 0);
    const share = ([label, s]) => `${percent(s / total)} ${label === UNKNOWN ? "unclear" : label}`;
    return Object.entries(seconds).map(share).join(", ");
}
