// The part of a recording that is seen, in whatever tab: what is open, chosen and under the mouse, and when it is drawn.
// Gradio gives `element` and `props`. The tab's own scripts say how: `load`, `choose`, `read` and `showDetails`.

const part = (name) => element.querySelector(`[data-part="${name}"]`);
const button = (name) => element.querySelector(`[data-do="${name}"]`);
const colors = Object.fromEntries(props.emotions.map(({ name, color }) => [name, color]));
const colorOf = (label) => colors[label] ?? props.unknown_color;
const audio = part("audio");

let told = null; // what the server found
let recording = null;
let segments = null;
let axis = null;
let chosen = null; // index of a segment; null: the whole recording
let stopAt = null; // where playback of a segment ends
let pointer = null; // where the mouse is: `share` of the view's width, and `y` on the lanes
let queued = false;
let stale = false; // the lanes are to be drawn again, also if they show what they showed
let shown = []; // what that was
let drawn = () => {}; // what else follows playback
let asked = 0; // numbers what the server is asked

function openSound() {
    recording = new Recording(told);
    axis = new Axis(told.duration);
    audio.src = told.audio;
    audio.setAttribute("aria-label", told.source);
    say("");
}

function say(words) {
    part("notice").textContent = words;
}

// What a segment, or the whole recording, is and where.
function title(index) {
    if (index === null) return phrase("segments.whole");
    const { start, end } = segments.list[index];
    return phrase("segments.one_from_to", { number: index + 1, start: clock(start, true), end: clock(end, true) });
}

function redraw(lanesToo = true) {
    stale ||= lanesToo;
    if (!queued) requestAnimationFrame(drawAll);
    queued = true;
}

function drawAll() {
    queued = false;
    if (!told || !element.clientWidth) return; // nothing to show, or a hidden tab: drawn when it is opened
    const now = audio.currentTime;
    const showing = [segments.list, axis.from, axis.to, lanes.explanation];
    if (stale || showing.some((one, i) => one !== shown[i])) { // not only what moves over them
        lanes.draw(recording, segments, axis);
        overview.draw(recording, segments, axis);
    }
    [stale, shown] = [false, showing];
    const pointed = pointer && axis.time(pointer.share, 1);
    const found = chosen === null ? null : segments.list[chosen];
    drawCursors(part("cursors"), lanes.layout, axis, { now, pointed, chosen: found, movable: Boolean(grip) });
    part("clock").textContent = `${clock(now, true)} / ${clock(told.duration, true)}`;
    part("reading").textContent = read(pointed ?? now);
    drawn();
}
