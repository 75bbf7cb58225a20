// What is read: the emotion now, the history, and the summary. All text, never markup.

// A session's verdict: where its segments differ and no emotion prevails, all of them.
function answer(found, segments) {
    const named = Object.keys(speakingTime(segments)).filter((label) => label !== UNKNOWN);
    if (found.label === UNKNOWN && named.length > 1) return phrase("verdict.several", { emotions: named.map(emotionName).join(", ") });
    if (!namesEmotion(found)) return headline(found);
    return phrase("short.sure", { emotion: headline(found), share: percent(found.confidence) });
}

// The emotion in large letters.
function showNow(box, found, color, state) {
    box.style.setProperty("--emotion", color);
    box.querySelector("h2").textContent = headline(found);
    box.querySelector(".sure").textContent = namesEmotion(found) ? percent(found.confidence) : "";
    box.querySelector(".state").textContent = state;
}

// One row for each settled segment, the newest on top.
function addRow(body, number, segment, color, play) {
    const { start, end, confidence } = segment;
    const name = nameOf(segment);
    const row = make("tr");
    const emotion = make("span", "", { class: "emotion" });
    emotion.append(swatch(color), name);
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

// How the speaking time divides among the labels, in words.
function mixture(segments) {
    const seconds = speakingTime(segments);
    const total = Object.values(seconds).reduce((sum, s) => sum + s, 0);
    const share = ([label, s]) => `${percent(s / total)} ${emotionName(label === UNKNOWN ? "unclear" : label)}`;
    return Object.entries(seconds).map(share).join(", ");
}
