// How the tab "Compare" shows what is open. The value is JSON lines: the sound and the models' names, then a line for each
// model as soon as it has heard the recording.

const lines = new JsonLines();
const lanes = new ComparedLanes(part("picture"), props.emotions, colorOf);
const overview = new Overview(part("overview"), (kind) => (kind === "different" ? lanes.text : lanes.faint));
const table = new Table(part("rows"), "compared-segment", tellRow);

let models = []; // {name, version, state, segments, summary}: what each says, or in `state` why it does not
let whole = null; // the recording's answers and times

const breakable = (name) => name.replaceAll("_", "_\u200b"); // a line may end there

function load() {
    const { anew, told: news } = lines.take(props.value || "");
    if (anew) {
        stop();
        told = null;
    }
    element.classList.toggle("open", Boolean(props.value));
    for (const line of news) (line.models ? begin : hear)(line);
    if (told && news.length) show();
}

function begin(sound) {
    told = sound;
    openSound();
    models = sound.models.map((name) => ({ name, state: phrase("compare.listening") }));
    const fixed = ["segments.number", "segments.start", "compare.agreement"].map((key) => phrase(key));
    const heads = [...fixed, ...sound.models.map(breakable)].map((name) => make("th", name, { scope: "col" }));
    part("columns").replaceChildren(...heads);
    part("models").replaceChildren(...models.map(card));
    segments = new Segments([], [], 0, told.duration);
    whole = { start: 0, end: told.duration, answers: [], agreement: null };
    chosen = null;
}

// A model has heard all, or cannot.
function hear({ number, model, problem, segments: found, summary, agreements, whole: agreement }) {
    if (problem) return (models[number].state = problem);
    Object.assign(models[number], { segments: found, summary, version: model.version, state: "" });
    const answers = (of) => models.map((one) => of(one) ?? null);
    whole = { ...whole, answers: answers((one) => one.summary), agreement };
    const together = found.map(({ start, end }, i) => ({
        start, end, label: agreements[i].kind, answers: answers((one) => one.segments?.[i]), agreement: agreements[i],
    }));
    segments = new Segments(together, [], 0, told.duration);
}

function show() {
    lanes.show(models);
    if (whole.agreement) table.show(whole, segments.list);
    if (whole.agreement) table.choose(chosen);
    showDetails();
    redraw();
}

// A model's own part of the details.
function card(model) {
    const made = make("section", "", { "aria-label": model.name });
    const [verdict, list] = [make("p", "", { class: "said" }), make("ul", "", { class: "bars" })];
    made.append(make("h4", breakable(model.name)), verdict, list);
    Object.assign(model, { verdict, list });
    return made;
}

function showDetails() {
    const { answers, agreement } = chosen === null ? whole : segments.list[chosen];
    part("title").textContent = [title(chosen), segments.list.length && AGREEMENTS[agreement.kind].words].filter(Boolean).join(": ");
    models.forEach((model, i) => {
        const answer = answers[i];
        model.verdict.textContent = answer ? said(answer, agreement) : model.state;
        model.list.hidden = !answer || answer.label === NO_SPEECH;
        if (model.list.hidden) return;
        const known = props.emotions.filter(({ name }) => name in answer.probabilities); // a model need not know all
        model.bars ??= new Bars(model.list, known);
        model.bars.show(answer.probabilities);
    });
}

const said = (answer, agreement) => {
    if (answer.label === NO_SPEECH) return emotionName(NO_SPEECH);
    return `${apart(answer, agreement) ? "≠ " : ""}${nameOf(answer)} ${percent(answer.confidence)}`;
};

// A row of the table after its number.
function tellRow({ start, answers, agreement }) {
    const { mark, words } = AGREEMENTS[agreement.kind];
    const cells = answers.map((answer, i) => {
        const cell = make("span", "", { class: "emotion", "data-model": breakable(models[i].name) });
        if (answer && answer.label !== NO_SPEECH) cell.append(swatch(colorOf(answer.label)));
        cell.append(answer ? said(answer, agreement) : "–");
        return cell;
    });
    const together = make("span", `${mark} ${words}`, { class: agreement.kind });
    return { words: `${tell(answers, agreement)}: ${words}`, cells: [clock(start, true), together, ...cells] };
}

// What the models say, in a sentence.
function tell(answers, agreement) {
    const parts = models.map(({ name }, i) => answers[i] && `${name} ${said(answers[i], agreement)}`);
    return parts.filter(Boolean).join(", ");
}

// The values at a time, in words.
function read(time) {
    const index = segments.at(time);
    if (index === null) return `${clock(time, true)} · ${phrase("timeline.nobody")}`;
    const { answers, agreement } = segments.list[index];
    const said = { number: index + 1, emotion: AGREEMENTS[agreement.kind].words, likely: tell(answers, agreement) };
    return `${clock(time, true)} · ${phrase("timeline.reading", said)}`;
}
