// The panels with text: the current emotion, the history, and the summary. Never markup.

// The verdict on a session as text. If no emotion prevails but several segments have one, these are listed.
function verdictText(verdict, segments) {
    const emotions = Object.keys(speakingTime(segments)).filter((label) => label !== UNKNOWN);
    if (verdict.label === UNKNOWN && emotions.length > 1) return phrase("verdict.several", { emotions: emotions.map(emotionName).join(", ") });
    if (!namesEmotion(verdict)) return headline(verdict);
    return phrase("short.sure", { emotion: headline(verdict), share: percent(verdict.confidence) });
}

// The emotion in large letters.
function showNow(box, verdict, color, state) {
    box.style.setProperty("--emotion", color);
    box.querySelector("h2").textContent = headline(verdict);
    box.querySelector(".sure").textContent = namesEmotion(verdict) ? percent(verdict.confidence) : "";
    box.querySelector(".state").textContent = state;
}

// Adds a final segment to the history, newest first.
function addRow(body, number, segment, color, play) {
    const { start, end, confidence } = segment;
    const name = nameOf(segment);
    const row = make("tr");
    const emotion = make("span", "", { class: "emotion" });
    emotion.append(swatch(color), make("b", segment.voice ?? "", { class: "who" }), name);
    const button = make("button", phrase("live.play"), { type: "button", "aria-label": phrase("live.play_one", { number, emotion: name }) });
    button.addEventListener("click", () => play(button, segment));
    const cells = [number, clock(start, true), clock(end, true), emotion, percent(confidence), button];
    cells.forEach((content) => {
        const cell = make("td");
        cell.append(content);
        row.append(cell);
    });
    body.prepend(row);
}

// Each label's share of the speaking time, in words.
function labelShares(segments) {
    const seconds = speakingTime(segments);
    const total = Object.values(seconds).reduce((sum, s) => sum + s, 0);
    const share = ([label, s]) => `${percent(s / total)} ${emotionName(label === UNKNOWN ? "unclear" : label)}`;
    return Object.entries(seconds).map(share).join(", ");
}
