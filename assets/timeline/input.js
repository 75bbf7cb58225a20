// Mouse, keys and buttons for playback and navigation. Tabs add their own to `actions` and `keys`.

const ZOOM = 2; // factor per press
const WHEEL_ZOOM = 1.002; // factor per pixel of the wheel
const PAN = 0.5; // share of the view per press
const NUDGE_S = 0.05;
const DRAG_PX = 3; // less is a click

let drag = null;
let grip = null; // if edges can be moved: `at(x, width)` is the edge under the pointer, `drag(drag, time)` moves it

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
    whole: () => axis.set(0, content.duration),
    earlier: () => axis.pan(-PAN * axis.length),
    later: () => axis.pan(PAN * axis.length),
    save: () => save(part("format").value),
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
    End: () => seek(content.duration),
    ",": () => seek(audio.currentTime - NUDGE_S),
    ".": () => seek(audio.currentTime + NUDGE_S),
};

function pressed(event) {
    const letter = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const shift = event.shiftKey && letter.length > 1 ? "Shift " : "";
    const action = keys[(event.ctrlKey || event.metaKey ? "Control " : "") + shift + letter];
    if (!content || !action || event.altKey) return;
    event.preventDefault();
    action();
    redraw(false);
}

const positionIn = (event, canvas) => {
    const box = canvas.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top, width: box.width };
};

function down(event) {
    if (!content || event.button) return;
    const { x, y, width } = positionIn(event, part("picture"));
    drag = { x, y, edge: grip?.at(x, width), from: axis.from, moved: false, edited: false };
    part("lanes").setPointerCapture(event.pointerId);
}

function move(event) {
    if (!content) return;
    const { x, y, width } = positionIn(event, part("picture"));
    pointer = { share: x / width, y };
    part("lanes").style.cursor = drag?.edge || grip?.at(x, width) ? "ew-resize" : "";
    if (drag && Math.abs(x - drag.x) > DRAG_PX) drag.moved = true;
    if (drag?.moved && drag.edge) grip.drag(drag, axis.time(x, width));
    else if (drag?.moved) axis.set(drag.from - ((x - drag.x) / width) * axis.length, axis.length);
    redraw(Boolean(drag?.moved));
}

function up(event) {
    const ended = drag;
    drag = null;
    if (!ended || ended.moved) return;
    const { x, y, width } = positionIn(event, part("picture"));
    const time = axis.time(x, width);
    const index = segments.at(time, lanes.voiceAt(y));
    if (index === null || y >= lanes.layout.time[0]) seek(time);
    else choose(index, true);
}

function wheel(event) {
    if (!content) return;
    const { x, width } = positionIn(event, part("picture"));
    if (event.ctrlKey || event.metaKey) axis.zoom(WHEEL_ZOOM ** -event.deltaY, axis.time(x, width));
    else if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
        axis.pan((((event.deltaX || event.deltaY) / width)) * axis.length);
    } else return; // the page scrolls
    event.preventDefault();
    redraw();
}

function look(event) {
    if (!content || !(event.buttons & 1)) return;
    const { x, width } = positionIn(event, part("overview"));
    const time = (x / width) * content.duration;
    if (axis.whole) seek(time);
    else axis.set(time - axis.length / 2, axis.length);
    redraw();
}

fillPhrases(element);
props.formats.forEach((format) =>
    part("format").append(make("option", known(`format.${format}`, format), { value: format })));
element.addEventListener("click", (event) => {
    const pressedButton = event.target.closest("[data-do]");
    if (pressedButton && content) {
        actions[pressedButton.dataset.do]();
        redraw(false);
    }
    const radio = event.target.closest("tr")?.querySelector("input");
    if (radio && event.target !== radio && !event.target.closest("label")) radio.click();
});
part("rows").addEventListener("change", (event) => choose(event.target.value ? Number(event.target.value) - 1 : null));
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
    button("play").textContent = phrase("timeline.pause");
    follow();
});
audio.addEventListener("pause", () => (button("play").textContent = phrase("timeline.play")));
audio.addEventListener("timeupdate", () => stopAt !== null && audio.currentTime >= stopAt && stop()); // also if nothing is drawn
audio.addEventListener("seeked", () => redraw(false));
new ResizeObserver(() => content && (showDetails(), redraw())).observe(part("lanes"));
new MutationObserver(() => content && (showDetails(), redraw())).observe(document.body, { attributeFilter: ["class"] });
