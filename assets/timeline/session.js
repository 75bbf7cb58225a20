// The timeline: from a recording's data to playback, choice and correction. Gradio gives `element`, `props`, `watch`
// and `trigger`.

const ZOOM = 2; // of a press
const WHEEL_ZOOM = 1.002; // of a wheel's pixel
const PAN = 0.5; // of the view
const NUDGE_S = 0.05;
const DRAG_PX = 3; // less is a click
const NAMED = 3; // probabilities that are read out

const part = (name) => element.querySelector(`[data-part="${name}"]`);
const button = (name) => element.querySelector(`[data-do="${name}"]`);
const colors = Object.fromEntries(props.emotions.map(({ name, color }) => [name, color]));
const colorOf = (label) => colors[label] ?? props.unknown_color;
const audio = part("audio");
const lanes = new Lanes(part("picture"), props.emotions, colorOf);
const table = new Table(part("rows"), colorOf);
const bars = new Bars(part("bars"), props.emotions);

let told = null; // what the server found
let recording = null;
let segments = null;
let axis = null;
let chosen = null; // index of a segment; null: the whole recording
let stopAt = null; // where playback of a segment ends
let pointer = null; // where the mouse is: `share` of the view's width, and `hz` over the spectrogram
let drag = null;
let queued = false;
let stale = false; // the lanes are to be drawn again, not only what moves over them
let asked = 0; // numbers what the server is asked

const decibels = (level) => (level > -99 ? `${level.toFixed(0).replace("-", "−")} dB` : "silence");

function load() {
    stop();
    told = props.value ? JSON.parse(props.value) : null;
    if (!told) return;
    recording = new Recording(told);
    segments = new Segments(told.segments, props.emotions, props.threshold, told.duration);
    axis = new Axis(told.duration);
    lanes.explanation = null;
    audio.src = told.audio;
    audio.setAttribute("aria-label", told.source);
    part("sound").href = told.audio;
    part("sound").download = told.file;
    say("");
    refresh();
    choose(null);
}

async function loadPicture() {
    lanes.picture = null;
    const address = props.spectrogram;
    const picture = address ? await decode(address) : null;
    if (props.spectrogram !== address) return; // another recording came
    lanes.picture = picture;
    redraw();
}

async function decode(address) {
    const picture = new Image();
    picture.src = address;
    await picture.decode();
    return picture;
}

function say(words) {
    part("notice").textContent = words;
}

// What a segment, or the whole recording, is and where.
function title(index) {
    if (index === null) return "Whole recording";
    const { start, end } = segments.list[index];
    return `Segment ${index + 1}, ${clock(start, true)}–${clock(end, true)}`;
}

// --- drawing ---

function redraw(lanesToo = true) {
    stale ||= lanesToo;
    if (!queued) requestAnimationFrame(paint);
    queued = true;
}

function paint() {
    queued = false;
    if (!told || !element.clientWidth) return; // nothing to show, or a hidden tab: drawn when it is opened
    if (stale) {
        lanes.draw(recording, segments, axis);
        drawOverview(part("overview"), recording, segments, colorOf, axis);
    }
    stale = false;
    const now = audio.currentTime;
    const pointed = pointer && axis.time(pointer.share, 1);
    drawCursors(part("cursors"), axis, { now, pointed, chosen: chosen === null ? null : segments.list[chosen] });
    part("clock").textContent = `${clock(now, true)} / ${clock(told.duration, true)}`;
    part("reading").textContent = read(pointed ?? now);
    button("split").disabled = !segments.canSplit(chosen, now);
}

// The values at a time, in words.
function read(time) {
    const words = [clock(time, true), `level ${decibels(recording.level(time))}`];
    const index = segments.at(time);
    if (index === null) words.push("no speech");
    else words.push(`segment ${index + 1}, ${nameOf(segments.list[index])}: ${likely(segments.list[index])}`);
    if (pointer?.hz) words.push(`${pointer.hz} Hz`);
    return words.join(" · ");
}

function likely({ probabilities }) {
    const ordered = Object.entries(probabilities).sort((one, other) => other[1] - one[1]);
    return ordered.slice(0, NAMED).map(([name, share]) => `${name} ${percent(share)}`).join(", ");
}

function showDetails() {
    const found = chosen === null ? told.summary : segments.list[chosen];
    const silent = !Object.keys(found.probabilities).length;
    part("title").textContent = `Probabilities · ${title(chosen)}`;
    part("silence").hidden = !silent;
    part("bars").hidden = part("plane").hidden = silent;
    bars.show(found.probabilities);
    const plotted = chosen === null ? segments.list : [found];
    drawPlane(part("plane"), props.emotions, colorOf, plotted.map((one) => ({ ...one, final: true })));
    part("facts").textContent = chosen === null ? describeWhole() : describe(found);
    part("corrections").querySelectorAll("select, input, button").forEach((control) => (control.disabled = chosen === null));
    button("undo").disabled = !segments.changed;
    button("merge").disabled = chosen === null || chosen + 1 >= segments.list.length;
    button("explain").disabled = chosen === null;
    button("explain").textContent = lanes.explanation ? "Hide the explanation" : "Explain this segment";
    if (chosen === null) return;
    part("label").value = found.label;
    part("start").value = found.start.toFixed(2);
    part("end").value = found.end.toFixed(2);
}

const signed = (number) => number.toFixed(2).replace("-", "−");

function describe({ start, end, valence, arousal }) {
    const [low, high] = recording.extremes(start, end);
    const peak = 20 * Math.log10(Math.max(high, -low) * recording.peak);
    return `Valence ${signed(valence)}, arousal ${signed(arousal)}. ${(end - start).toFixed(2)} s, peak ${decibels(peak)} full scale.`;
}

function describeWhole() {
    const { peak_dbfs, clipped, snr_db, bandwidth_hz } = told.quality;
    return `Peak ${decibels(peak_dbfs)} full scale, ${percent(clipped)} clipped, signal to noise ${decibels(snr_db)}, `
        + `sound up to ${(bandwidth_hz / 1000).toFixed(1)} kHz.`;
}

// Everything that depends on the segments.
function refresh() {
    const whole = { ...told.summary, start: 0, end: told.duration };
    table.show(whole, segments.list);
    const count = segments.checked;
    part("checked").textContent = count
        ? `You checked ${count} of ${segments.list.length} segments. Put the CSV beside the sound, fill in who speaks, and train on it.`
        : "Whatever you correct or call right counts as checked; results are saved as you left them.";
    button("corpus").disabled = !count;
    redraw();
}

// --- playback ---

function play(until = null) {
    stopAt = until;
    audio.play().catch(() => say("This browser cannot play this kind of file. Everything else works."));
}

function stop() {
    stopAt = null;
    audio.pause();
}

function seek(time) {
    audio.currentTime = Math.min(Math.max(time, 0), told.duration);
    redraw(axis.show(audio.currentTime));
}

// The view follows playback, which ends with the segment that was asked for.
function follow() {
    if (!told) return;
    if (stopAt !== null && audio.currentTime >= stopAt) stop();
    redraw(!audio.paused && axis.show(audio.currentTime));
    if (!audio.paused) requestAnimationFrame(follow);
}

function choose(index, playing = false) {
    if (chosen !== index || index === null) lanes.explanation = null;
    part("words").textContent = lanes.explanation?.words ?? "";
    chosen = index;
    table.choose(index);
    stopAt = null;
    if (index === null) {
        seek(0);
    } else {
        const { start, end } = segments.list[index];
        axis.show(start, end);
        seek(start);
        if (playing) play(end);
        part("announcer").textContent = `${title(index)}: ${likely(segments.list[index])}`;
    }
    showDetails();
    redraw();
}

// To the next segment (1) or the one before (-1).
function step(by) {
    const { list } = segments;
    if (!list.length) return;
    const next = list.findIndex(({ start }) => start > audio.currentTime);
    const from = chosen ?? (by > 0 ? (next < 0 ? list.length : next) - 1 : next < 0 ? list.length : next);
    choose(Math.min(Math.max(from + by, 0), list.length - 1), true);
}

// --- corrections ---

function edit(change) {
    if (chosen === null) return;
    change();
    chosen = Math.min(chosen, segments.list.length - 1);
    lanes.explanation = null;
    part("words").textContent = "";
    refresh();
    table.choose(chosen);
    showDetails();
}

const edits = {
    confirm: () => segments.label(chosen, segments.list[chosen].label),
    split: () => segments.canSplit(chosen, audio.currentTime) && segments.split(chosen, audio.currentTime),
    merge: () => chosen + 1 < segments.list.length && segments.merge(chosen),
    undo: () => segments.undo(),
};

function setEdges(start, end) {
    edit(() => segments.move(chosen, start, end));
}

function nameIt(label) {
    edit(() => segments.label(chosen, label));
}

// --- what the server is asked ---

function explain() {
    if (chosen === null) return;
    if (lanes.explanation) {
        lanes.explanation = null;
        part("words").textContent = "";
        showDetails();
        return redraw();
    }
    const { start, end, label } = segments.list[chosen];
    part("words").textContent = "Working out what spoke for it …";
    trigger("explain", { number: ++asked, start, end, label });
}

function save(format) {
    const list = segments.list.map(({ start, end, label, of, checked }) => ({ start, end, label, of, checked }));
    trigger("save", { number: ++asked, format, segments: list });
}

async function receive() {
    const reply = props.reply ? JSON.parse(props.reply) : null;
    if (!reply || reply.number !== asked) return; // to an older question
    if (reply.kind === "problem") {
        part("words").textContent = "";
        say(reply.words);
    }
    if (reply.kind === "file") {
        const link = make("a", "", { href: URL.createObjectURL(new Blob([reply.text], { type: "text/plain" })), download: reply.name });
        link.click();
        URL.revokeObjectURL(link.href);
    }
    if (reply.kind === "explanation") {
        const picture = await decode(reply.image);
        if (reply.number !== asked || chosen === null) return;
        lanes.explanation = { ...reply, picture };
        part("words").textContent = reply.words;
        axis.show(reply.start, reply.end);
        showDetails();
        redraw();
    }
}

// --- mouse and keys ---

const middle = () => {
    const now = audio.currentTime;
    return now >= axis.from && now <= axis.to ? now : (axis.from + axis.to) / 2;
};

const actions = {
    play: () => (audio.paused ? play() : stop()),
    previous: () => step(-1),
    next: () => step(1),
    in: () => axis.zoom(ZOOM, middle()),
    out: () => axis.zoom(1 / ZOOM, middle()),
    whole: () => axis.set(0, told.duration),
    earlier: () => axis.pan(-PAN * axis.length),
    later: () => axis.pan(PAN * axis.length),
    explain,
    save: () => save(part("format").value),
    corpus: () => save("corpus"),
    ...Object.fromEntries(Object.entries(edits).map(([name, change]) => [name, () => edit(change)])),
};

const keys = {
    " ": actions.play,
    Enter: () => chosen !== null && choose(chosen, true),
    ArrowRight: actions.next,
    ArrowLeft: actions.previous,
    "Shift ArrowRight": actions.later,
    "Shift ArrowLeft": actions.earlier,
    "+": actions.in,
    "=": actions.in,
    "-": actions.out,
    0: actions.whole,
    Home: () => seek(0),
    End: () => seek(told.duration),
    ",": () => seek(audio.currentTime - NUDGE_S),
    ".": () => seek(audio.currentTime + NUDGE_S),
    "[": () => chosen !== null && setEdges(audio.currentTime, segments.list[chosen].end),
    "]": () => chosen !== null && setEdges(segments.list[chosen].start, audio.currentTime),
    s: actions.split,
    m: actions.merge,
    e: explain,
    "Control z": actions.undo,
    ...Object.fromEntries(props.emotions.map(({ name }, i) => [i + 1, () => nameIt(name)])),
};

function pressed(event) {
    const letter = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const shift = event.shiftKey && letter.length > 1 ? "Shift " : "";
    const action = keys[(event.ctrlKey || event.metaKey ? "Control " : "") + shift + letter];
    if (!told || !action || event.altKey) return;
    event.preventDefault();
    action();
    redraw();
}

const place = (event, canvas) => {
    const box = canvas.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top, width: box.width };
};

// Which edge of the chosen segment lies under the pointer.
function edgeAt(x, width) {
    if (chosen === null) return null;
    return ["start", "end"].find((edge) => Math.abs(axis.x(segments.list[chosen][edge], width) - x) <= EDGE_PX) ?? null;
}

function down(event) {
    if (!told || event.button) return;
    const { x, y, width } = place(event, part("picture"));
    drag = { x, y, edge: edgeAt(x, width), from: axis.from, moved: false, edited: false };
    part("lanes").setPointerCapture(event.pointerId);
}

function move(event) {
    if (!told) return;
    const { x, y, width } = place(event, part("picture"));
    const [top, height] = LANES.mel;
    pointer = { share: x / width, hz: props.band_hz[Math.floor((1 - (y - top) / height) * props.band_hz.length)] };
    part("lanes").style.cursor = drag?.edge || edgeAt(x, width) ? "ew-resize" : "";
    if (drag && Math.abs(x - drag.x) > DRAG_PX) drag.moved = true;
    if (drag?.moved) dragged(x, width);
    redraw(Boolean(drag?.moved));
}

function dragged(x, width) {
    if (!drag.edge) return axis.set(drag.from - ((x - drag.x) / width) * axis.length, axis.length);
    if (drag.edited) segments.undo(); // one drag is one step to undo
    const before = segments.list;
    const edges = { ...segments.list[chosen], [drag.edge]: axis.time(x, width) };
    setEdges(edges.start, edges.end);
    drag.edited = segments.list !== before;
}

function up(event) {
    const ended = drag;
    drag = null;
    if (!ended || ended.moved) return;
    const { x, y, width } = place(event, part("picture"));
    const time = axis.time(x, width);
    const index = segments.at(time);
    if (index === null || y >= LANES.time[0]) seek(time);
    else choose(index, true);
}

function wheel(event) {
    if (!told) return;
    const { x, width } = place(event, part("picture"));
    if (event.ctrlKey || event.metaKey) axis.zoom(WHEEL_ZOOM ** -event.deltaY, axis.time(x, width));
    else if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
        axis.pan((((event.deltaX || event.deltaY) / width)) * axis.length);
    } else return; // the page scrolls
    event.preventDefault();
    redraw();
}

function overview(event) {
    if (!told || !(event.buttons & 1)) return;
    const { x, width } = place(event, part("overview"));
    const time = (x / width) * told.duration;
    if (axis.whole) seek(time);
    else axis.set(time - axis.length / 2, axis.length);
    redraw();
}

// --- at the start ---

props.labels.forEach((label) => part("label").append(make("option", label, { value: label })));
props.formats.forEach(({ format, title: words }) => part("format").append(make("option", words, { value: format })));
element.addEventListener("click", (event) => {
    const pressedButton = event.target.closest("[data-do]");
    if (pressedButton && told) {
        actions[pressedButton.dataset.do]();
        redraw();
    }
    const radio = event.target.closest("tr")?.querySelector("input");
    if (radio && event.target !== radio && !event.target.closest("label")) radio.click();
});
part("rows").addEventListener("change", (event) => choose(event.target.value ? Number(event.target.value) - 1 : null));
part("label").addEventListener("change", () => nameIt(part("label").value));
for (const edge of ["start", "end"]) {
    part(edge).addEventListener("change", () => {
        const wanted = { ...segments.list[chosen], [edge]: Number(part(edge).value) };
        setEdges(wanted.start, wanted.end);
    });
}
part("lanes").addEventListener("keydown", pressed);
part("lanes").addEventListener("pointerdown", down);
part("lanes").addEventListener("pointermove", move);
part("lanes").addEventListener("pointerup", up);
part("lanes").addEventListener("pointercancel", () => (drag = null));
part("lanes").addEventListener("pointerleave", () => {
    pointer = null;
    redraw(false);
});
part("lanes").addEventListener("wheel", wheel, { passive: false });
part("overview").addEventListener("pointerdown", overview);
part("overview").addEventListener("pointermove", overview);
audio.addEventListener("play", () => {
    button("play").textContent = "Pause";
    follow();
});
audio.addEventListener("pause", () => (button("play").textContent = "Play"));
audio.addEventListener("timeupdate", () => stopAt !== null && audio.currentTime >= stopAt && stop()); // also where nothing is drawn
audio.addEventListener("seeked", () => redraw(false));
new ResizeObserver(() => told && (showDetails(), redraw())).observe(part("lanes"));
new MutationObserver(() => told && (showDetails(), redraw())).observe(document.body, { attributeFilter: ["class"] });
watch("value", load);
watch("spectrogram", loadPicture);
watch("reply", receive);
load();
loadPicture();
