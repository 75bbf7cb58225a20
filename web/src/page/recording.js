// The tab "Recording": a file is dropped or chosen, analysed by the worker, and shown by the timeline.

import { start as startTimeline } from "../assets/timeline.js";
import { clock, headline, known, make, namesEmotion, NO_SPEECH, percent, phrase, speakingTime, summarise, UNKNOWN, emotionName, capital, likeliestEmotion, decimal } from "../assets/shared.js";
import { settings } from "../settings.js";
import { write } from "./exports.js";

const ROUNDED = ["confidence", "valence", "arousal"];

// Sets up the tab in `root`. `hearing`: the worker's `Hearing`; `model`: its description; `bandHz`: of the picture.
export class RecordingTab {
    constructor(root, hearing) {
        Object.assign(this, { root, hearing, handlers: {}, address: "", picture: "", analysis: null });
        this.answer = root.querySelector("#answer");
        const input = root.querySelector("#drop input");
        input.addEventListener("change", () => {
            const [file] = input.files;
            input.value = "";
            if (file) this.open(file);
        });
        const area = root.querySelector("#drop");
        for (const kind of ["dragover", "dragleave", "drop"]) {
            root.addEventListener(kind, (event) => {
                event.preventDefault();
                area.classList.toggle("over", kind === "dragover");
                if (kind === "drop" && event.dataTransfer.files.length) this.open(event.dataTransfer.files[0]);
            });
        }
        this.show(phrase("recording.welcome_title"), [phrase("web.welcome")], "empty");
    }

    // The model that is used from now on; the timeline is set up with the first.
    use(model, bandHz) {
        this.model = model;
        const emotions = settings.emotions.filter(({ name }) => model.labels.includes(name));
        const { labels, formats, unknownColor } = settings;
        if (this.props) return Object.assign(this.props, { threshold: model.threshold });
        this.props = {
            emotions, labels: [...labels, UNKNOWN], formats, unknown_color: unknownColor, threshold: model.threshold,
            band_hz: bandHz, value: "", spectrogram: "", reply: "",
        };
        const element = this.root.querySelector("#timeline");
        const watch = (name, handler) => (this.handlers[name] = handler);
        startTimeline({ element, props: this.props, watch, trigger: (event, fields) => this.reply(event, fields) });
        for (const name of ["explain", "compare"]) element.querySelector(`[data-do="${name}"]`).hidden = true;
    }

    set(name, value) {
        this.props[name] = value;
        this.handlers[name]();
    }

    open(file) {
        this.root.querySelector("#details").hidden = true;
        if (!this.model) {
            this.waiting = file;
            return this.show(phrase("recording.listening"), [phrase("web.waits"), file.name], "empty");
        }
        const began = performance.now();
        this.show(phrase("recording.listening"), [file.name], "empty");
        this.hearing.analyse(file, {
            progress: (seconds) => this.show(phrase("recording.listening"), [file.name, phrase("web.heard", { time: clock(seconds) })], "empty"),
            analysis: (message) => this.showAnalysis(file, message, performance.now() - began),
            failed: (code, message) => this.showProblem(file, code, message),
        });
    }

    showProblem({ name }, code, message) {
        const words = code ? known(`library.audio.${code}`, message) : phrase("web.failed", { reason: message });
        this.show(phrase("recording.problem"), [words, name], "problem");
    }

    showAnalysis(file, { analysis, byItself, outline, picture, warnings }, tookMs) {
        for (const address of [this.address, this.picture]) URL.revokeObjectURL(address);
        this.address = URL.createObjectURL(file);
        this.picture = picture ? URL.createObjectURL(picture) : "";
        this.analysis = analysis;
        analysis.quality.warnings.unshift(...warnings.map((name) => known(`library.warning.${name}`, name)));
        this.root.querySelector("#details").hidden = false;
        this.set("value", JSON.stringify({ ...analysis, by_itself: byItself, ...outline, audio: this.address, file: file.name }));
        this.set("spectrogram", this.picture);
        const { summary, segments, duration, quality } = analysis;
        const spoken = segments.reduce((sum, { start, end }) => sum + end - start, 0);
        const facts = [file.name, this.length(duration)];
        if (segments.length) facts.push(phrase(segments.length === 1 ? "verdict.speech_one" : "verdict.speech_many", { duration: this.length(spoken), count: segments.length }));
        facts.push(phrase("verdict.model", this.model), phrase("web.took", { seconds: decimal(tookMs / 1000, 1) }));
        const notes = quality.warnings.map((warning) => known(`library.warning.${warning.split(":")[0]}`, warning));
        const color = summary.label === NO_SPEECH ? null : settings.emotions.find(({ name }) => name === summary.label)?.color ?? settings.unknownColor;
        this.show(this.title(summary, segments), [segments.length ? this.mixture(segments) : phrase("verdict.nobody"), facts.join(" · ")], "", { color, notes });
        this.answer.dataset.tookMs = Math.round(tookMs);
    }

    length(seconds) {
        if (seconds < 59.95) return `${decimal(seconds, 1)} s`;
        const whole = Math.round(seconds);
        return `${Math.floor(whole / 60)} min ${whole % 60} s`;
    }

    title(summary, segments) {
        const emotions = Object.keys(speakingTime(segments)).filter((label) => label !== UNKNOWN);
        if (summary.label === UNKNOWN && emotions.length > 1) return phrase("verdict.several", { emotions: emotions.map(emotionName).join(", ") });
        if (!namesEmotion(summary)) return summary.label === NO_SPEECH ? phrase("verdict.no_speech") : phrase("verdict.unfamiliar");
        const share = percent(summary.confidence);
        if (summary.label === UNKNOWN) return phrase("verdict.unsure", { emotion: emotionName(likeliestEmotion(summary.probabilities)), share });
        return phrase("verdict.sure", { emotion: capital(emotionName(summary.label)), share });
    }

    mixture(segments) {
        const seconds = Object.entries(speakingTime(segments));
        if (seconds.length < 2) return "";
        const total = seconds.reduce((sum, [, s]) => sum + s, 0);
        const parts = seconds.map(([label, s]) => `${percent(s / total)} ${emotionName(label === UNKNOWN ? "unclear" : label)}`);
        return phrase("verdict.mixture", { parts: parts.join(", ") });
    }

    show(title, paragraphs, kind, { color = null, notes = [] } = {}) {
        const box = make("div", "", { class: `verdict ${kind}` });
        if (color) box.style.setProperty("--emotion", color);
        box.append(make("h2", title), ...paragraphs.filter(Boolean).map((words, i) => make("p", words, { class: i ? "facts" : "" })));
        if (notes.length) {
            const list = make("ul");
            list.append(...notes.map((words) => make("li", words)));
            const quality = make("div", phrase("verdict.quality"), { class: "quality" });
            quality.append(list);
            box.append(quality);
        }
        this.answer.replaceChildren(box);
        this.answer.dataset.state = kind || "done";
    }

    // What the server of the Gradio page answers: here only files to save.
    reply(event, { number, format, segments }) {
        if (event !== "save") return this.set("reply", JSON.stringify({ kind: "problem", number, words: phrase("web.no_explanation") }));
        const { name, text } = write(format, this.corrected(segments));
        this.set("reply", JSON.stringify({ kind: "file", number, name, text }));
    }

    // The analysis with the segments as a person has corrected them, as `parse` and `apply` of ser_ui/corrections.py.
    corrected(entries) {
        const { threshold } = this.model;
        const segments = entries.map(({ start, end, label, of, checked }) => {
            const mean = summarise(of.map((i) => this.analysis.segments[i]), threshold);
            const expected = (axis) => settings.emotions.reduce((sum, one) => sum + (mean.probabilities[one.name] ?? 0) * one[axis], 0);
            const confidence = label === mean.label ? mean.confidence : mean.probabilities[label] ?? mean.confidence;
            const affect = { valence: expected("valence"), arousal: expected("arousal") };
            const { voice, channel, overlap } = this.analysis.segments[of[0]];
            return tidy({ start, end, label, confidence, probabilities: mean.probabilities, ...affect, voice, channel, overlap, checked });
        });
        return { ...this.analysis, segments, summary: tidy(summarise(segments, threshold)) };
    }
}

// Numbers with the digits of the exports.
function tidy(verdict) {
    const digits = (value, count) => Number(value.toFixed(count));
    const rounded = { ...verdict };
    for (const name of ROUNDED) if (name in rounded) rounded[name] = digits(rounded[name], 4);
    for (const name of ["start", "end"]) if (name in rounded) rounded[name] = digits(rounded[name], 3);
    rounded.probabilities = Object.fromEntries(Object.entries(verdict.probabilities).map(([name, share]) => [name, digits(share, 4)]));
    return rounded;
}
