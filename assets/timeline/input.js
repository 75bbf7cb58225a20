// Mouse, keys and buttons; and at the end, the start. Gradio gives `watch`.

const ZOOM = 2; // of a press
const WHEEL_ZOOM = 1.002; // of a wheel's pixel
const PAN = 0.5; // of the view
const NUDGE_S = 0.05;
const DRAG_PX = 3; // less is a click

let drag = null;

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

function look(event) {
    if (!told || !(event.buttons & 1)) return;
    const { x, width } = place(event, part("overview"));
    const time = (x / width) * told.duration;
    if (axis.whole) seek(time);
    else axis.set(time - axis.length / 2, axis.length);
    redraw();
}

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
part("overview").addEventListener("pointerdown", look);
part("overview").addEventListener("pointermove", look);
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
