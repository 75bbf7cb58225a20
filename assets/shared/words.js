// What the tabs say, in the visitor's language, and the elements they say it with. All text, never markup.

const NO_SPEECH = "no_speech";
const UNKNOWN = "unknown";
const ALIKE = 1e-4; // probabilities that differ by less are the same
// Every phrase in each language, as Gradio has them; it has set the page's language to the browser's.
const PHRASES = window.gradio_config.i18n_translations;
const LANGUAGE = [document.documentElement.lang.split("-")[0], "en"].find((language) => PHRASES[language]);

// A phrase of assets/words/ with its places filled.
function phrase(key, values = {}) {
    return PHRASES[LANGUAGE][key].replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

// The same for what may be missing: a name from elsewhere, or what the library says, which is English.
const known = (key, otherwise) => PHRASES[LANGUAGE][key] ?? otherwise;

// Fills in what a template leaves to be said: text, and what is read out.
function speak(root, values = {}) {
    root.lang = LANGUAGE;
    root.querySelectorAll("[data-say]").forEach((box) => (box.textContent = phrase(box.dataset.say, values)));
    root.querySelectorAll("[data-label]").forEach((box) => {
        box.ariaLabel = phrase(box.dataset.label, values);
        if (box.tagName === "BUTTON") box.title = box.ariaLabel; // it shows but a sign
    });
}

const decimal = (number, digits) => number.toFixed(digits).replace(".", phrase("number.point"));
const percent = (share) => phrase("number.percent", { number: Math.round(100 * share) });
const signed = (number) => decimal(number, 2).replace("-", "−");
const emotionName = (label) => known(`emotion.${label}`, label);
const capital = (words) => words[0].toUpperCase() + words.slice(1);

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

// The likeliest emotion, unless all are as likely: the model knows nothing that sounds so.
function guessed(probabilities) {
    const shares = Object.values(probabilities);
    return Math.max(...shares) - Math.min(...shares) > ALIKE ? likeliest(probabilities) : null;
}

// Whether a verdict names an emotion, be it with a question mark.
const namesEmotion = ({ label, probabilities }) => label !== NO_SPEECH && (label !== UNKNOWN || guessed(probabilities) !== null);

// A verdict in a word or two.
function headline({ label, probabilities }) {
    if (label === NO_SPEECH) return phrase("short.no_speech");
    if (label !== UNKNOWN) return capital(emotionName(label));
    const guess = guessed(probabilities);
    return guess ? phrase("short.unsure", { emotion: emotionName(guess) }) : phrase("short.unfamiliar");
}

// What a segment is called where there is little room.
function nameOf({ label, probabilities }) {
    const guess = label === UNKNOWN && guessed(probabilities);
    return guess ? phrase("emotion.perhaps", { emotion: emotionName(guess) }) : emotionName(label);
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
            row.append(make("span", emotionName(name)), bar, make("span", percent(0), { class: "share" }));
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
