// What is open in the timeline, and how it is shown. Gradio gives `element` and `props`.

const NAMED = 3; // probabilities that are read out

const part = (name) => element.querySelector(`[data-part="${name}"]`);
const button = (name) => element.querySelector(`[data-do="${name}"]`);
const colors = Object.fromEntries(props.emotions.map(({ name, color }) => [name, color]));
const colorOf = (label) => colors[label] ?? props.unknown_color;
const audio = part("audio");
const lanes = new Lanes(part("picture"), props.emotions, colorOf);
const overview = new Overview(part("overview"), colorOf);
const table = new Table(part("rows"), colorOf);
const bars = new Bars(part("bars"), props.emotions);

let told = null; // what the server found
let recording = null;
let whole = null; // the recording's verdict and times
let segments = null;
let axis = null;
let chosen = null; // index of a segment; null: the whole recording
let stopAt = null; // where playback of a segment ends
let pointer = null; // where the mouse is: `share` of the view's width, and `hz` over the spectrogram
let queued = false;
let stale = false; // the lanes are to be drawn again, not only what moves over them

const decibels = (level) => (level > -99 ? `${level.toFixed(0).replace("-", "−")} dB` : "silence");

function load() {
    stop();
    told = props.value ? JSON.parse(props.value) : null;
    if (!told) return;
    recording = new Recording(told);
    segments = new Segments(told.segments, props.emotions, props.threshold, told.duration);
    axis = new Axis(told.duration);
    whole = { ...told.summary, start: 0, end: told.duration };
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
        overview.draw(recording, segments, axis);
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
    const found = chosen === null ? whole : segments.list[chosen];
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
    table.show(whole, segments.list);
    const count = segments.checked;
    part("checked").textContent = count
        ? `You checked ${count} of ${segments.list.length} segments. Put the CSV beside the sound, fill in who speaks, and train on it.`
        : "Whatever you correct or call right counts as checked; results are saved as you left them.";
    button("corpus").disabled = !count;
    redraw();
}
