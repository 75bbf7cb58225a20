// The tab "Compare": shows the open comparison. The value is JSON lines: the recording and the models' names, then a line
// for each model as soon as it has analysed the recording.

const lines = new JsonLines();
const lanes = new ComparedLanes(part("picture"), props.emotions, colorOf);
const overview = new Overview(part("overview"), (kind) => (kind === "different" ? lanes.text : lanes.faint));
const table = new Table(part("rows"), "compared-segment", describeRow);

let models = []; // {name, version, state, segments, summary}: each model's result, or in `state` why there is none
let whole = null; // results and times of the whole recording

const breakable = (name) => name.replaceAll("_", "_\u200b"); // allows a line break there

function load() {
    const { restarted, values } = lines.take(props.value || "");
    if (restarted) {
        stop();
        content = null;
    }
    element.classList.toggle("open", Boolean(props.value));
    for (const line of values) (line.models ? begin : addResult)(line);
    if (content && values.length) show();
}

function begin(sound) {
    content = sound;
    openSound();
    models = sound.models.map((name) => ({ name, state: phrase("compare.listening") }));
    const fixed = ["segments.number", "segments.start", "compare.agreement"].map((key) => phrase(key));
    const heads = [...fixed, ...sound.models.map(breakable)].map((name) => make("th", name, { scope: "col" }));
    part("columns").replaceChildren(...heads);
    part("models").replaceChildren(...models.map(card));
    segments = new Segments([], [], 0, content.duration);
    whole = { start: 0, end: content.duration, answers: [], agreement: null };
    chosen = null;
}

// Adds the result of a model, or the reason why there is none.
function addResult({ number, model, problem, segments: results, summary, agreements, whole: agreement }) {
    if (problem) return (models[number].state = problem);
    Object.assign(models[number], { segments: results, summary, version: model.version, state: "" });
    const answers = (pick) => models.map((each) => pick(each) ?? null);
    whole = { ...whole, answers: answers((each) => each.summary), agreement };
    const compared = results.map(({ start, end }, i) => ({
        start, end, label: agreements[i].kind, answers: answers((each) => each.segments?.[i]), agreement: agreements[i],
    }));
    segments = new Segments(compared, [], 0, content.duration);
}

function show() {
    lanes.show(models);
    if (whole.agreement) table.show(whole, segments.list);
    if (whole.agreement) table.choose(chosen);
    showDetails();
    redraw();
}

// The details of one model.
function card(model) {
    const section = make("section", "", { "aria-label": model.name });
    const [verdict, list] = [make("p", "", { class: "said" }), make("ul", "", { class: "bars" })];
    section.append(make("h4", breakable(model.name)), verdict, list);
    Object.assign(model, { verdict, list });
    return section;
}

function showDetails() {
    const { answers, agreement } = chosen === null ? whole : segments.list[chosen];
    part("title").textContent = [title(chosen), segments.list.length && AGREEMENTS[agreement.kind].words].filter(Boolean).join(": ");
    models.forEach((model, i) => {
        const answer = answers[i];
        model.verdict.textContent = answer ? answerText(answer, agreement) : model.state;
        model.list.hidden = !answer || answer.label === NO_SPEECH;
        if (model.list.hidden) return;
        const known = props.emotions.filter(({ name }) => name in answer.probabilities); // a model may know fewer
        model.bars ??= new Bars(model.list, known);
        model.bars.show(answer.probabilities);
    });
}

// A model's answer as text.
const answerText = (answer, agreement) => {
    if (answer.label === NO_SPEECH) return emotionName(NO_SPEECH);
    return `${differsFromMajority(answer, agreement) ? "≠ " : ""}${nameOf(answer)} ${percent(answer.confidence)}`;
};

// A row of the table: text for screen readers, and the cells after its number.
function describeRow({ start, answers, agreement }) {
    const { mark, words } = AGREEMENTS[agreement.kind];
    const cells = answers.map((answer, i) => {
        const cell = make("span", "", { class: "emotion", "data-model": breakable(models[i].name) });
        if (answer && answer.label !== NO_SPEECH) cell.append(swatch(colorOf(answer.label)));
        cell.append(answer ? answerText(answer, agreement) : "–");
        return cell;
    });
    const agreementCell = make("span", `${mark} ${words}`, { class: agreement.kind });
    return { words: `${answersText(answers, agreement)}: ${words}`, cells: [clock(start, true), agreementCell, ...cells] };
}

// The answers of all models as text.
function answersText(answers, agreement) {
    const parts = models.map(({ name }, i) => answers[i] && `${name} ${answerText(answers[i], agreement)}`);
    return parts.filter(Boolean).join(", ");
}

// The values at a time, as text.
function read(time) {
    const index = segments.at(time);
    if (index === null) return `${clock(time, true)} · ${phrase("timeline.nobody")}`;
    const { answers, agreement } = segments.list[index];
    const values = { number: index + 1, emotion: AGREEMENTS[agreement.kind].words, likely: answersText(answers, agreement) };
    return `${clock(time, true)} · ${phrase("timeline.reading", values)}`;
}
