// Phrases in the visitor's language, and elements that show them. Everything is inserted as text, never as markup.

const NO_SPEECH = "no_speech";
const UNKNOWN = "unknown";
const EQUAL_TOLERANCE = 1e-4; // probabilities that differ by less count as equal
// The phrases of each language, as Gradio has them. Gradio sets the page's language to the browser's.
const PHRASES = window.gradio_config.i18n_translations;
const LANGUAGE = [document.documentElement.lang.split("-")[0], "en"].find((language) => PHRASES[language]);

// A phrase of assets/words/, its placeholders replaced by `values`.
function phrase(key, values = {}) {
    return PHRASES[LANGUAGE][key].replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

// A phrase, or `otherwise` if there is none: for keys from data, and for the library's messages, which are English.
const known = (key, otherwise) => PHRASES[LANGUAGE][key] ?? otherwise;

// Fills in the phrases of a template: texts (data-say) and labels for screen readers (data-label).
function fillPhrases(root, values = {}) {
    root.lang = LANGUAGE;
    root.querySelectorAll("[data-say]").forEach((box) => (box.textContent = phrase(box.dataset.say, values)));
    root.querySelectorAll("[data-label]").forEach((box) => {
        box.ariaLabel = phrase(box.dataset.label, values);
        if (box.tagName === "BUTTON") box.title = box.ariaLabel; // the button shows a symbol only
    });
}

const decimal = (number, digits) => number.toFixed(digits).replace(".", phrase("number.point"));
const percent = (share) => phrase("number.percent", { number: Math.round(100 * share) });
const signed = (number) => decimal(number, 2).replace("-", "−");
const emotionName = (label) => known(`emotion.${label}`, label);
const capital = (words) => words[0].toUpperCase() + words.slice(1);

// A time in s as text: 65 is "1:05"; with hundredths if `fine`.
function clock(seconds, fine = false) {
    const hundredths = Math.round(100 * seconds);
    const [minutes, rest] = [Math.floor(hundredths / 6000), hundredths % 6000];
    const whole = `${minutes}:${String(Math.floor(rest / 100)).padStart(2, "0")}`;
    return fine ? `${whole}.${String(rest % 100).padStart(2, "0")}` : whole;
}

function likeliest(probabilities) {
    return Object.keys(probabilities).reduce((best, name) => (probabilities[name] > probabilities[best] ? name : best));
}

// The most probable emotion; null if all are equally probable, as for a sound unlike all training data.
function likeliestEmotion(probabilities) {
    const shares = Object.values(probabilities);
    return Math.max(...shares) - Math.min(...shares) > EQUAL_TOLERANCE ? likeliest(probabilities) : null;
}

// Whether a verdict names an emotion, even an uncertain one.
const namesEmotion = ({ label, probabilities }) => label !== NO_SPEECH && (label !== UNKNOWN || likeliestEmotion(probabilities) !== null);

// A verdict in one or two words.
function headline({ label, probabilities }) {
    if (label === NO_SPEECH) return phrase("short.no_speech");
    if (label !== UNKNOWN) return capital(emotionName(label));
    const emotion = likeliestEmotion(probabilities);
    return emotion ? phrase("short.unsure", { emotion: emotionName(emotion) }) : phrase("short.unfamiliar");
}

// A segment's label in few characters.
function nameOf({ label, probabilities }) {
    const emotion = label === UNKNOWN && likeliestEmotion(probabilities);
    return emotion ? phrase("emotion.perhaps", { emotion: emotionName(emotion) }) : emotionName(label);
}

// A new element.
function make(tag, text = "", attributes = {}) {
    const created = document.createElement(tag);
    created.textContent = text;
    Object.entries(attributes).forEach(([name, value]) => created.setAttribute(name, value));
    return created;
}

function swatch(color) {
    const created = make("i");
    created.style.background = color;
    return created;
}

// A list of horizontal bars, one per emotion.
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

// The verdict on several segments: as `summarise` of the server.
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

// Seconds of each label, longest first.
function speakingTime(segments) {
    const seconds = {};
    segments.forEach(({ label, start, end }) => (seconds[label] = (seconds[label] ?? 0) + end - start));
    return Object.fromEntries(Object.entries(seconds).sort((one, other) => other[1] - one[1]));
}
