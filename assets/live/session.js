// The tab "Live": a session from Start to its summary. Gradio gives `element` and `props`.

const SILENCE_S = 3; // without speech for so long, the page shows a notice
const METER_FLOOR_DB = -60;
const MIN_UNSENT_S = 2; // shorter sessions that no server received are discarded

const part = (name) => element.querySelector(`[data-part="${name}"]`);
const colors = Object.fromEntries(props.emotions.map(({ name, color }) => [name, color]));
const colorOf = (label) => colors[label] ?? props.unknown_color;
const bars = new Bars(part("bars"), props.emotions);
const player = new Audio();
const calm = matchMedia("(prefers-reduced-motion: reduce)");

let state = "idle"; // idle, starting, listening, paused, stopping
let session = null; // sound, connection, spectrum, strip, segments, finals, level, analysis
let microphone = null;
let lastDrawn = 0; // ms

function enter(next) {
    state = next;
    element.dataset.state = next;
    const words = { idle: session ? "new" : "start", paused: "resume", starting: "starting" };
    part("main").textContent = phrase(`live.${words[next] ?? "pause"}`);
    part("main").setAttribute("aria-disabled", next === "starting" || next === "stopping"); // not `disabled`, which loses the focus
    part("stop").disabled = next !== "listening" && next !== "paused";
    part("microphones").disabled = next === "starting" || next === "stopping";
}

function say(words, kind = "") {
    part("notice").textContent = words;
    part("notice").dataset.kind = kind;
}

async function start() {
    enter("starting");
    say(phrase("live.ask"));
    stopPlaying();
    microphone = new Microphone(onFrame, () => finish(phrase("live.disconnected")));
    let rate;
    try {
        rate = await microphone.open(part("microphones").value);
    } catch (error) {
        enter("idle");
        return say(refusal(error), "problem");
    }
    say("");
    begin(rate);
    await listMicrophones(); // browsers give the names only after permission
}

function begin(rate) {
    const sound = new SoundBuffer(rate, props.kept_s);
    const strip = new Strip(part("strip"), colorOf);
    session = { sound, strip, spectrum: new LogMel(rate), segments: [], finals: [], level: 0, lastSpeech: 0, lastSound: 0 };
    session.connection = new Connection(sound, {
        level: ({ time, speech }) => (session.lastSpeech = speech ? time : session.lastSpeech),
        segment: addSegment,
        notice: (words) => say(words),
        disconnected: (words) => {
            dropProvisional();
            say(words, "problem");
        },
        failed: (words) => say(words, "problem"),
        done: showSummary,
    });
    element.querySelectorAll("[data-part='history'], [data-part='announcer']").forEach((box) => box.replaceChildren());
    part("summary").hidden = true;
    part("now").hidden = false;
    enter("listening");
    requestAnimationFrame(draw);
}

function onFrame(samples) {
    if (!session || state === "starting") return; // the session has not started
    session.sound.push(samples);
    session.connection.pump();
    session.spectrum.push(samples).forEach((column) => session.strip.addColumn(column));
    session.level = samples.reduce((peak, x) => Math.max(peak, Math.abs(x)), 0);
    if (session.level) session.lastSound = session.sound.seconds;
}

function dropProvisional() {
    session.segments = session.segments.filter(({ final }) => final);
}

function addSegment(segment) {
    const { segments, finals } = session;
    const index = segments.findLastIndex(({ key }) => key === segment.key);
    if (index < 0) segments.push(segment);
    else segments[index] = segment;
    session.lastSpeech = Math.max(session.lastSpeech, segment.end);
    if (!segment.final) return;
    finals.push(segment);
    part("history").classList.toggle("voices", severalVoices());
    addRow(part("history"), finals.length, segment, colorOf(segment.label), play);
    const who = severalVoices() ? `${phrase("voices.one_voice", { voice: segment.voice })}: ` : "";
    const values = { emotion: `${who}${headline(segment)}`, share: percent(segment.confidence), time: clock(segment.start) };
    part("announcer").textContent = phrase(segment.label === UNKNOWN ? "live.heard" : "live.heard_sure", values);
}

// Whether more than one voice was heard in this session.
const severalVoices = () => new Set(session.finals.map(({ voice }) => voice)).size > 1;

async function pause() {
    enter("paused");
    await microphone.pause();
}

async function resume() {
    stopPlaying();
    await microphone.resume();
    enter("listening");
}

async function finish(words = "") {
    if (state !== "listening" && state !== "paused") return;
    enter("stopping");
    say(words || phrase("live.last_words"), words && "problem");
    await microphone.close();
    session.connection.stop();
}

// Shows the result of a session that has ended, and the buttons to open or save it.
async function showSummary(analysis) {
    const { sound, connection } = session;
    if (state !== "stopping") await microphone.close(); // the session was not ended by the person
    dropProvisional();
    if (part("notice").dataset.kind !== "problem") say("");
    const received = connection.serverSessions > 0;
    if (received || sound.seconds > MIN_UNSENT_S) {
        session.name = `live ${new Date().toLocaleString("sv").replaceAll(":", ".")}`; // 2026-11-21 10.32.05
        if (received) session.analysis = { ...(analysis ?? assembled()), source: `${session.name}.wav` };
        if (analysis?.voices?.length && connection.serverSessions === 1) settleVoices(analysis.segments);
        const box = part("summary");
        received ? showResult(box) : showUnheard(box);
        part("announcer").textContent = phrase("live.ended", { result: box.querySelector("h2").textContent });
        part("json").hidden = !received;
        box.querySelector(".cut").hidden = sound.start === 0;
        box.hidden = false;
        part("now").hidden = true;
        if ([document.body, part("stop")].includes(document.activeElement)) box.focus();
    } else {
        session = null; // refused by the server at its start
    }
    enter("idle");
    draw();
}

// Shows the segments as they are once all voices are settled.
function settleVoices(segments) {
    session.finals = segments.map((segment, key) => ({ ...segment, key, final: true }));
    session.segments = session.finals;
    part("history").replaceChildren();
    session.finals.forEach((segment, i) => addRow(part("history"), i + 1, segment, colorOf(segment.label), play));
    part("history").classList.toggle("voices", severalVoices());
}

// The analysis of a session whose connection was broken, from the segments of all connections.
function assembled() {
    const { sound, finals } = session;
    return {
        schema: 2,
        source: "",
        duration: Number(sound.seconds.toFixed(3)),
        model: props.model,
        quality: null,
        segments: finals.map(({ key, final, ...segment }) => ({ ...segment, voice: null })), // each connection had its own voices
        summary: summarise(finals, props.threshold),
        voices: [],
        error: null,
    };
}

function showResult(box) {
    const { sound, finals, connection, analysis } = session;
    const [words, facts] = box.querySelectorAll("p");
    box.style.setProperty("--emotion", colorOf(analysis.summary.label));
    const { voices = [] } = analysis; // the page on the visitor's own device has none
    box.querySelector("h2").textContent = voices.length > 1 ? voicesText(voices) : verdictText(analysis.summary, finals);
    const values = { count: finals.length, length: clock(sound.seconds), parts: labelShares(finals) };
    words.textContent = phrase(["live.nobody", "live.found_one"][finals.length] ?? "live.found_many", values);
    const [sent, received] = [connection.cursor - connection.first, connection.received ?? phrase("live.unknown_number")];
    facts.textContent = phrase("live.samples", { sent, received, rate: sound.sampleRate, ...props.model });
}

function showUnheard(box) {
    const [words, facts] = box.querySelectorAll("p");
    box.style.removeProperty("--emotion");
    box.querySelector("h2").textContent = phrase("live.unheard_title");
    words.textContent = phrase("live.unheard");
    facts.textContent = "";
}

// Plays a segment from the buffer. The microphone, which would record it, is paused.
function play(button, { start: from, end: to }) {
    if (button.dataset.playing) return stopPlaying();
    stopPlaying();
    if (from < session.sound.start / session.sound.sampleRate) {
        return say(phrase("live.too_old"));
    }
    if (state === "listening") pause();
    button.textContent = phrase("live.stop");
    button.dataset.playing = button.ariaLabel;
    button.ariaLabel = phrase("live.stop_playing");
    player.src = URL.createObjectURL(session.sound.wav(from, to));
    player.play().catch(({ name, message }) => name === "AbortError" || say(message, "problem")); // AbortError: stopped early
}

function stopPlaying() {
    player.pause();
    URL.revokeObjectURL(player.src);
    const button = part("history").querySelector("[data-playing]");
    if (!button) return;
    button.textContent = phrase("live.play");
    button.ariaLabel = button.dataset.playing;
    delete button.dataset.playing;
}

function draw(time = 0) {
    if (!session || !element.isConnected) return;
    if (time === 0 || time - lastDrawn >= (calm.matches ? CALM_FRAME_MS : FRAME_MS)) {
        lastDrawn = time;
        show();
    }
    if (time && state !== "idle") requestAnimationFrame(draw);
}

function show() {
    const { segments, sound, strip, lastSpeech, lastSound, level } = session;
    const now = sound.seconds;
    const last = segments.at(-1);
    strip.draw(now, segments);
    drawPlane(part("plane"), props.emotions, colorOf, segments);
    part("clock").textContent = clock(now);
    const decibels = Math.max(METER_FLOOR_DB, 20 * Math.log10(level + 1e-9));
    part("meter").firstElementChild.style.transform = `scaleX(${state === "listening" ? 1 - decibels / METER_FLOOR_DB : 0})`;
    part("meter").setAttribute("aria-valuenow", Math.round(decibels));
    const silent = !last || now - lastSpeech > SILENCE_S;
    if (session.analysis) {
        bars.show(session.analysis.summary.probabilities);
    } else if (silent) {
        const muted = now - lastSound > SILENCE_S ? "muted" : "silent";
        const words = phrase(`live.${state === "paused" ? "paused" : muted}`);
        showNow(part("now"), { label: NO_SPEECH }, "var(--block-border-color)", words);
        bars.show({});
    } else if (last) {
        const [start, end] = [clock(last.start, true), clock(last.end, true)];
        const words = [severalVoices() && last.voice && phrase("voices.one_voice", { voice: last.voice }),
            last.final ? phrase("live.settled", { start, end }) : phrase("live.so_far")].filter(Boolean).join(" · ");
        showNow(part("now"), last, colorOf(last.label), words);
        bars.show(last.probabilities);
        const [valence, arousal] = [last.valence, last.arousal].map(signed);
        part("affect").textContent = phrase("live.plane_now", { valence, arousal });
    }
}

async function listMicrophones() {
    const list = part("microphones");
    const chosen = list.value;
    const options = (await Microphone.list()).map(({ deviceId, label }, i) =>
        make("option", label || phrase("live.microphone_number", { number: i + 1 }), { value: deviceId }));
    list.replaceChildren(make("option", phrase("live.default_microphone"), { value: "" }), ...options);
    list.value = options.some(({ value }) => value === chosen) ? chosen : "";
}

async function changeMicrophone() {
    if (state !== "listening" && state !== "paused") return;
    try {
        await microphone.choose(part("microphones").value);
        say("");
    } catch (error) {
        say(refusal(error), "problem");
    }
}

fillPhrases(element, { minutes: props.kept_s / 60 });
const main = { idle: start, listening: pause, paused: resume };
part("main").addEventListener("click", () => main[state]?.());
part("stop").addEventListener("click", () => finish());
part("microphones").addEventListener("change", changeMicrophone);
part("open").addEventListener("click", () =>
    openInRecording(new File([session.sound.wav()], `${session.name}.wav`, { type: "audio/wav" })));
part("wav").addEventListener("click", () => saveFile(session.sound.wav(), `${session.name}.wav`));
part("json").addEventListener("click", () =>
    saveFile(new Blob([JSON.stringify([session.analysis], null, 2)], { type: "application/json" }), `${session.name}.json`));
player.addEventListener("ended", stopPlaying);
navigator.mediaDevices?.addEventListener("devicechange", listMicrophones);
new ResizeObserver(() => session && show()).observe(part("strip"));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => session && show());
listMicrophones();
drawPlane(part("plane"), props.emotions, colorOf, []);
enter("idle");
