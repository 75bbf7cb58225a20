// The tab "Files": one row per file, filled as results arrive. Gradio gives `element`, `props`, `watch` and `trigger`.
// The value is JSON lines: first the files' names, then a line for each result, then one at the end.

const WAITING = { state: "waiting" };

const part = (name) => element.querySelector(`[data-part="${name}"]`);
const button = (name) => element.querySelector(`[data-do="${name}"]`);
const colors = Object.fromEntries(props.emotions.map(({ name, color }) => [name, color]));
const colorOf = (label) => colors[label] ?? props.unknown_color;
// Title and sort key of each column.
const COLUMNS = [
    { title: "files.name", key: ({ name }) => name },
    { title: "segments.emotion", key: ({ label, state, error }) => label ?? (error ? "~" : `~~${state}`) },
    { title: "segments.confidence", key: ({ confidence }) => confidence ?? -1 },
    { title: "files.length", key: ({ duration }) => duration ?? -1 },
    { title: "files.speech", key: ({ speech }) => speech ?? -1 },
    { title: "files.share" },
    { title: "files.look" },
];

const lines = new JsonLines();
let files = []; // in the order in which they were dropped
let rows = []; // the table row of each file
let running = false;
let sorting = { column: null, up: true };
let requestNumber = 0;

function load() {
    const { restarted, values } = lines.take(props.value || "");
    if (restarted) [files, rows] = [[], []];
    values.forEach(take);
    show();
}

function take(line) {
    if (line.files) {
        files = line.files.map((name) => ({ name, ...WAITING }));
        rows = files.map(() => make("tr"));
        part("rows").replaceChildren(...rows);
        files.forEach((_, i) => fill(i));
        running = true;
        sortBy(null);
        part("notice").textContent = "";
    }
    if (line.number !== undefined) {
        files[line.number] = { ...files[line.number], state: "done", ...line }; // or "heard": read once, to be judged with the others later
        fill(line.number);
    }
    if (line.done) running = false;
}

function fill(number) {
    const file = files[number];
    const name = document.createDocumentFragment();
    name.append(make("span", file.name, { class: "name" }), ...(file.faults ?? []).map((words) => make("p", words, { class: "why" })));
    const cells = [name, ...(file.error ? [errorText(file)] : resultCells(file))];
    rows[number].className = file.error ? "failed" : file.state;
    rows[number].replaceChildren(...cells.map((content) => {
        const cell = make("td");
        cell.append(content);
        return cell;
    }));
    rows[number].lastChild.colSpan = COLUMNS.length - cells.length + 1; // an error spans the remaining columns
}

const errorText = ({ error }) => make("span", error.message, { class: "why" });

function resultCells(file) {
    const emotion = make("span", "", { class: "emotion" });
    if (file.state !== "done") emotion.append(phrase(`files.${file.state}`));
    else if (file.label === NO_SPEECH) emotion.append(emotionName(NO_SPEECH));
    else emotion.append(swatch(colorOf(file.label)), nameOf(file));
    if (file.state !== "done") return [emotion, "–", "–", "–", "", ""];
    const sure = file.label === NO_SPEECH ? "–" : percent(file.confidence);
    return [emotion, sure, clock(file.duration), clock(file.speech), shares(file.seconds), openButton(file)];
}

// Seconds of each label as parts of a bar, and in words.
function shares(seconds) {
    const total = Object.values(seconds).reduce((sum, s) => sum + s, 0);
    const words = Object.entries(seconds).map(([label, s]) => `${percent(s / total)} ${emotionName(label)}`).join(", ");
    const bar = make("div", "", { class: "share", role: "img", "aria-label": words || emotionName(NO_SPEECH), title: words });
    for (const [label, s] of Object.entries(seconds)) {
        const piece = make("span", s / total > 0.2 ? emotionName(label) : "");
        piece.style.cssText = `flex-grow: ${s}; background: ${colorOf(label)}; color: ${inkOn(colorOf(label))}`;
        bar.append(piece);
    }
    return bar;
}

function openButton(file) {
    const link = make("button", phrase("files.open"), { type: "button", "aria-label": phrase("files.open_one", { name: file.name }) });
    link.addEventListener("click", () => open(file));
    return link;
}

// Opens a file in the tab Recording as if it was dropped there.
async function open({ name, audio }) {
    const response = await fetch(audio);
    if (!response.ok) return say(phrase("files.gone"));
    openInRecording(new File([await response.blob()], name));
}

function say(words) {
    part("notice").textContent = words;
}

function show() {
    const done = files.filter(({ state }) => state === "done");
    const failed = done.filter(({ error }) => error);
    for (const name of ["head", "results"]) part(name).hidden = !files.length;
    part("totals").hidden = done.length === failed.length;
    const left = files.some(({ state }) => state === "cancelled") ? phrase("files.rest_cancelled") : "";
    const bad = failed.length ? phrase("files.failed", { count: failed.length }) : "";
    part("progress").textContent = phrase("files.progress", { done: done.length, all: files.length }) + bad + left;
    part("bar").setAttribute("aria-valuemax", files.length);
    part("bar").setAttribute("aria-valuenow", done.length);
    const readOnce = files.filter(({ state }) => state === "heard").length;
    part("bar").firstElementChild.style.transform = `scaleX(${(done.length + readOnce / 2) / Math.max(files.length, 1)})`;
    button("cancel").hidden = !running;
    button("save").disabled = !done.length;
    showTotals(done);
    sort();
}

function showTotals(done) {
    const seconds = {};
    for (const file of done) {
        for (const [label, s] of Object.entries(file.seconds ?? {})) seconds[label] = (seconds[label] ?? 0) + s;
    }
    const ordered = Object.fromEntries(Object.entries(seconds).sort((one, other) => other[1] - one[1]));
    const [length, speech] = ["duration", "speech"].map((key) => done.reduce((sum, file) => sum + (file[key] ?? 0), 0));
    part("sum").textContent = phrase("files.totals", { sound: clock(length), speech: clock(speech) });
    part("all").replaceChildren(...shares(ordered).children);
    part("legend").replaceChildren(...Object.entries(ordered).map(([label, s]) => {
        const item = make("li");
        item.append(swatch(colorOf(label)), `${emotionName(label)} ${percent(s / speech)}`);
        return item;
    }));
}

function sortBy(column) {
    sorting = { column, up: sorting.column === column ? !sorting.up : true };
    [...part("columns").children].forEach((head, i) => {
        if (i === column) head.setAttribute("aria-sort", sorting.up ? "ascending" : "descending");
        else head.removeAttribute("aria-sort");
    });
    sort();
}

// Moves only rows whose position changes, so that a button is not moved while it is pressed.
function sort() {
    const order = files.map((_, i) => i);
    if (sorting.column !== null) {
        const { key } = COLUMNS[sorting.column];
        const compare = (one, other) => (typeof one === "string" ? one.localeCompare(other, undefined, { numeric: true }) : one - other);
        order.sort((one, other) => (sorting.up ? 1 : -1) * compare(key(files[one]), key(files[other])) || one - other);
    }
    const body = part("rows");
    order.forEach((number, i) => body.children[i] !== rows[number] && body.insertBefore(rows[number], body.children[i]));
}

function receive() {
    const reply = props.reply ? JSON.parse(props.reply) : null;
    if (reply?.number !== requestNumber) return;
    if (reply.kind === "problem") return say(reply.words);
    saveFile(new Blob([reply.text], { type: "text/plain" }), reply.name);
}

function cancel() {
    trigger("cancel");
    running = false;
    files.forEach((file, i) => {
        if (file.state === "done") return;
        file.state = "cancelled";
        fill(i);
    });
    show();
}

fillPhrases(element);
nameDropArea("drop-files");
COLUMNS.forEach(({ title, key }, column) => {
    const head = make("th", key ? "" : phrase(title), { scope: "col" });
    if (key) {
        const sorter = make("button", phrase(title), { type: "button" });
        sorter.addEventListener("click", () => sortBy(column));
        head.append(sorter);
    }
    part("columns").append(head);
});
props.formats.forEach((format) =>
    part("format").append(make("option", known(`format.${format}`, format), { value: format })));
button("cancel").addEventListener("click", cancel);
button("save").addEventListener("click", () => trigger("save", { number: ++requestNumber, format: part("format").value }));
watch("value", load);
watch("reply", receive);
load();
