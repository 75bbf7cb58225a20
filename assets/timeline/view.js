// The state of a tab that shows a recording: what is open, chosen and under the mouse, and when it is drawn.
// Gradio gives `element` and `props`. The tab's own scripts define `load`, `choose`, `read` and `showDetails`.

const part = (name) => element.querySelector(`[data-part="${name}"]`);
const button = (name) => element.querySelector(`[data-do="${name}"]`);
const colors = Object.fromEntries(props.emotions.map(({ name, color }) => [name, color]));
const colorOf = (label) => colors[label] ?? props.unknown_color;
const audio = part("audio");

let content = null; // the recording's data from the server
let recording = null;
let segments = null;
let axis = null;
let chosen = null; // index of a segment; null: the whole recording
let stopAt = null; // where playback of a segment ends
let pointer = null; // where the mouse is: `share` of the view's width, and `y` on the lanes
let queued = false;
let stale = false; // the lanes must be redrawn even if their state is the same
let drawnState = []; // the state at the last drawing
let onDrawn = () => {}; // called after each drawing
let requestNumber = 0; // of the last request to the server

function openSound() {
    recording = new Recording(content);
    axis = new Axis(content.duration);
    audio.src = content.audio;
    audio.setAttribute("aria-label", content.source);
    say("");
}

function say(words) {
    part("notice").textContent = words;
}

// The title of a segment, or of the whole recording.
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
    if (!content || !element.clientWidth) return; // nothing to show, or a hidden tab, which is drawn when it is opened
    const now = audio.currentTime;
    const state = [segments.list, axis.from, axis.to, lanes.explanation];
    if (stale || state.some((value, i) => value !== drawnState[i])) {
        lanes.draw(recording, segments, axis);
        overview.draw(recording, segments, axis);
    }
    [stale, drawnState] = [false, state];
    const pointerTime = pointer && axis.time(pointer.share, 1);
    const segment = chosen === null ? null : segments.list[chosen];
    drawCursors(part("cursors"), lanes.layout, axis, { now, pointerTime, chosen: segment, movable: Boolean(grip) });
    part("clock").textContent = `${clock(now, true)} / ${clock(content.duration, true)}`;
    part("reading").textContent = read(pointerTime ?? now);
    onDrawn();
}
