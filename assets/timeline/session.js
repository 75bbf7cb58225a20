// The tab "Recording": shows the open recording.

const LISTED_EMOTIONS = 3; // most probable ones in a reading
const NOTABLE = 0.1; // of a probability: what a session takes away beyond it is put down to the voice

const lanes = new Lanes(part("picture"), props.emotions, colorOf);
const overview = new Overview(part("overview"), colorOf);
const table = new Table(part("rows"), "segment", describeRow);
const bars = new Bars(part("bars"), props.emotions);
const voices = new Voices(part("voices"), part("voice-rows"), part("whose"), part("voice"));

let whole = null; // the recording's verdict and times

const decibels = (level) => (level > -99 ? `${level.toFixed(0).replace("-", "−")} dB` : phrase("timeline.silence"));

function load() {
    stop();
    content = props.value ? JSON.parse(props.value) : null;
    if (!content) return;
    openSound();
    segments = new Segments(content.segments, props.emotions, props.threshold, content.duration);
    whole = { ...content.summary, start: 0, end: content.duration };
    lanes.explanation = null;
    voices.open(content.segments);
    part("sound").href = content.audio;
    part("sound").download = content.file;
    refresh();
    choose(null);
}

async function loadPicture() {
    lanes.picture = null;
    const address = props.spectrogram;
    const picture = address ? await decode(address) : null;
    if (props.spectrogram !== address) return; // another recording was opened
    lanes.picture = picture;
    redraw();
}

async function decode(address) {
    const picture = new Image();
    picture.src = address;
    await picture.decode();
    return picture;
}

// A row of the table: text for screen readers, and the cells after its number.
function describeRow(segment) {
    const { start, end, label, confidence, checked } = segment;
    const silent = label === NO_SPEECH;
    const who = segment === whole ? "" : voices.nameIn(segment);
    const name = silent ? emotionName(label) : nameOf(segment);
    const share = silent ? "–" : percent(confidence);
    const emotion = make("span", "", { class: "emotion" });
    if (!silent) emotion.append(swatch(colorOf(label)));
    if (who) emotion.append(make("b", who));
    emotion.append(checked ? `${name} ✓` : name);
    const overlap = segment.overlap ? `${phrase("voices.overlap")}, ` : "";
    const words = `${who && `${who}, `}${overlap}${name}, ${share}${checked ? `, ${phrase("timeline.is_checked")}` : ""}`;
    return { words, cells: [clock(start, true), clock(end, true), emotion, share] };
}

onDrawn = () => (button("split").disabled = !segments.canSplit(chosen, audio.currentTime));

// The values at a time, as text.
function read(time) {
    const words = [clock(time, true), phrase("timeline.level", { level: decibels(recording.level(time)) })];
    const index = segments.at(time);
    if (index === null) words.push(phrase("timeline.nobody"));
    else words.push(readSegment(index));
    const [top, height] = lanes.layout.mel;
    const hz = pointer && props.band_hz[Math.floor((1 - (pointer.y - top) / height) * props.band_hz.length)];
    if (hz) words.push(`${hz} Hz`);
    return words.join(" · ");
}

function readSegment(index) {
    const segment = segments.list[index];
    const who = voices.nameIn(segment);
    const values = { number: index + 1, emotion: `${who && `${who} · `}${nameOf(segment)}`, likely: likely(segment) };
    return phrase("timeline.reading", values);
}

function likely({ probabilities }) {
    const ordered = Object.entries(probabilities).sort((one, other) => other[1] - one[1]);
    return ordered.slice(0, LISTED_EMOTIONS).map(([name, share]) => `${emotionName(name)} ${percent(share)}`).join(", ");
}

function showDetails() {
    const shown = segments.list.filter(({ voice }) => lanes.only === null || voice === lanes.only);
    const segment = chosen !== null ? segments.list[chosen] : lanes.only === null ? whole : summarise(shown, props.threshold);
    const silent = !Object.keys(segment.probabilities).length;
    part("title").textContent = phrase("segments.probabilities_of", { segment: chosen === null && lanes.only !== null ? voices.title(lanes.only) : title(chosen) });
    part("silence").hidden = !silent;
    part("bars").hidden = part("plane").hidden = silent;
    bars.show(segment.probabilities);
    const plotted = chosen === null ? shown : [segment];
    drawPlane(part("plane"), props.emotions, colorOf, plotted.map((one) => ({ ...one, final: true })));
    part("facts").textContent = chosen === null ? describeWhole() : describe(segment);
    part("corrections").querySelectorAll("select, input, button").forEach((control) => (control.disabled = chosen === null));
    button("undo").disabled = !segments.changed;
    button("merge").disabled = chosen === null || segments.beside(chosen, 1) === null;
    button("explain").disabled = chosen === null;
    button("explain").textContent = phrase(lanes.explanation ? "timeline.hide" : "timeline.explain");
    if (chosen === null) return;
    part("label").value = segment.label;
    part("voice").value = segment.voice ?? "";
    part("start").value = segment.start.toFixed(2);
    part("end").value = segment.end.toFixed(2);
}

// What the earlier segments of its voice changed of a segment's most probable emotion; "" where there are none.
function describeSession({ of }) {
    const alone = content.by_itself?.[of[0]];
    const { voice, start, probabilities } = content.segments[of[0]];
    const count = content.segments.filter((one) => one.voice === voice && one.start < start).length;
    const even = new Set(Object.values(probabilities)).size === 1; // a sound unlike speech
    if (!alone || of.length > 1 || !count || voice === UNSURE_VOICE || even) return "";
    const [emotion, share] = Object.entries(alone).reduce((most, one) => (one[1] > most[1] ? one : most));
    const key = share - probabilities[emotion] > NOTABLE ? "timeline.put_down_to_voice" : "timeline.with_session";
    return phrase(key, { emotion: emotionName(emotion), alone: percent(share), count, share: percent(probabilities[emotion]) });
}

function describe({ start, end, valence, arousal, of }) {
    const [low, high] = recording.extremes(start, end);
    const peak = 20 * Math.log10(Math.max(high, -low) * recording.peak);
    const facts = phrase("timeline.facts", {
        valence: signed(valence),
        arousal: signed(arousal),
        length: decimal(end - start, 2),
        peak: decibels(peak),
    });
    return `${facts} ${describeSession({ of })}`.trim();
}

function describeWhole() {
    const { peak_dbfs, clipped, snr_db, bandwidth_hz } = content.quality;
    return phrase("timeline.facts_whole", {
        peak: decibels(peak_dbfs),
        clipped: percent(clipped),
        noise: decibels(snr_db),
        bandwidth: decimal(bandwidth_hz / 1000, 1),
    });
}

// Updates everything that depends on the segments.
function refresh() {
    voices.show();
    voices.sayVerdict();
    table.show(whole, segments.list);
    const count = segments.checked;
    part("checked").textContent = count
        ? phrase("timeline.checked", { count, all: segments.list.length })
        : phrase("timeline.unchecked");
    button("corpus").disabled = !count;
    redraw();
}
